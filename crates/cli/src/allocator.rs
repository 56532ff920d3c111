//! The allocator: mimalloc, asked for an alignment only where its blocks do not have it anyway.
//!
//! Asked for any, mimalloc 3 takes a larger block than needed for everything above a KiB and frees it on a slower way.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mi;

/// mimalloc as the allocator of the program.
pub(crate) struct Allocator;

/// Whether every block of this size is aligned so: to 8 bytes always, to 16 from that size on (`MI_MAX_ALIGN_SIZE`).
const fn is_natural(size: usize, align: usize) -> bool {
    align <= 8 || (align <= 16 && size >= 16)
}

// SAFETY: each block comes from mimalloc, has at least the size asked for and the alignment asked for or a natural one that
// is no smaller, and is given back to mimalloc, which needs neither to free it. Nothing here unwinds.
unsafe impl GlobalAlloc for Allocator {
    // SAFETY: as above.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size is allowed; the alignment of a layout is a power of two.
        unsafe { if is_natural(size, align) { mi::mi_malloc(size) } else { mi::mi_malloc_aligned(size, align) } }.cast()
    }

    // SAFETY: as above.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size is allowed; the alignment of a layout is a power of two.
        unsafe { if is_natural(size, align) { mi::mi_zalloc(size) } else { mi::mi_zalloc_aligned(size, align) } }.cast()
    }

    // SAFETY: as above.
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller gives a block of this allocator.
        unsafe { mi::mi_free(block.cast()) }
    }

    // SAFETY: as above.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align) = (block.cast(), layout.align());
        // SAFETY: the caller gives a block of this allocator; the alignment of a layout is a power of two.
        unsafe {
            if is_natural(size, align) {
                mi::mi_realloc(block, size)
            } else {
                mi::mi_realloc_aligned(block, size, align)
            }
        }
        .cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_as_asked_for_and_keep_their_content() {
        for align in [1, 8, 16, 32, 64, 4096] {
            for size in [1, 8, 15, 16, 24, 1024, 1025, 3000, 5000, 100_000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the layout has a size; each block is used within its size and freed once.
                unsafe {
                    let block = Allocator.alloc(layout);
                    assert_eq!(block as usize % align, 0, "{size} bytes aligned to {align}");
                    block.write_bytes(7, size);
                    let block = Allocator.realloc(block, layout, size * 3);
                    assert_eq!(block as usize % align, 0, "{size} bytes grown, aligned to {align}");
                    assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == 7));
                    Allocator.dealloc(block, Layout::from_size_align(size * 3, align).unwrap());
                    let zeroed = Allocator.alloc_zeroed(layout);
                    assert_eq!(zeroed as usize % align, 0);
                    assert!(std::slice::from_raw_parts(zeroed, size).iter().all(|byte| *byte == 0));
                    Allocator.dealloc(zeroed, layout);
                }
            }
        }
    }
}
