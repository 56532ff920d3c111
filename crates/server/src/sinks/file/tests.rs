use super::*;
use crypto::WallMs;
use ledger::access_log::{Header, LogId};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use testkit::clock::ManualClock;

fn open(path: &Path) -> Result<FileSink, Refused> {
    let clock = Arc::new(ManualClock::at(WallMs(0)));
    FileSink::with_reserve(path, WhenSynced::EachSecond, clock, 4 << 20)
}

fn header(number: u64) -> Header {
    Header { log: LogId([1; 8]), number, first_row: 1, opened: WallMs(0), newest_before: WallMs(0), previous: [0; 32] }
}

async fn append(sink: &FileSink, number: u64, offset: u64, frames: &[u8], urgent: bool) -> Result<(), SinkError> {
    let header = header(number);
    sink.append(Chunk { header: &header, offset, frames, rows: &[], urgent }).await
}

async fn frames(sink: &FileSink, number: u64) -> Vec<u8> {
    sink.read(number).await.unwrap().unwrap()[HEADER_BYTES..].to_vec()
}

#[tokio::test]
async fn log_10_files_are_0600_in_folders_of_0700() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("access");
    let sink = open(&path).unwrap();
    append(&sink, 1, 0, b"row", false).await.unwrap();
    append(&sink, 4096, 0, b"row", false).await.unwrap();
    let mode = |name: &str| path.join(name).metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode(""), mode("00000000"), mode("00000001")), (0o700, 0o700, 0o700));
    assert_eq!((mode("reserve"), mode("00000000/0000000000000001.rows")), (0o600, 0o600));
    assert_eq!(sink.range().await.unwrap(), Some((1, 4096)));
    assert_eq!(sink.head(1).await.unwrap().unwrap().as_ref(), header(1).encode());
}

#[tokio::test]
async fn log_10_links_foreign_files_wide_and_executable_ones_are_refused_and_left_alone() {
    type Plant = fn(&Path);
    let plants: [(&str, Plant); 8] = [
        ("the folder is a link", |access| {
            let other = access.with_file_name("other");
            std::fs::create_dir(&other).unwrap();
            std::fs::remove_dir_all(access).unwrap();
            symlink(other, access).unwrap();
        }),
        ("the folder is a file", |access| {
            std::fs::remove_dir_all(access).unwrap();
            std::fs::write(access, b"x").unwrap();
        }),
        ("the folder is open to others", |access| {
            std::fs::set_permissions(access, std::fs::Permissions::from_mode(0o750)).unwrap();
        }),
        ("a foreign file", |access| std::fs::write(access.join("plugin.so"), b"x").unwrap()),
        ("a foreign file among the segments", |access| std::fs::write(access.join("00000000/x.rows"), b"").unwrap()),
        ("an executable segment", |access| {
            let file = access.join("00000000/0000000000000001.rows");
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o700)).unwrap();
        }),
        ("a segment that is a link", |access| {
            let file = access.join("00000000/0000000000000001.rows");
            std::fs::rename(&file, access.with_file_name("moved")).unwrap();
            symlink(access.with_file_name("moved"), file).unwrap();
        }),
        ("a segment of another folder", |access| {
            std::fs::rename(
                access.join("00000000/0000000000000001.rows"),
                access.join("00000000/0000000000009999.rows"),
            )
            .unwrap();
        }),
    ];
    for (what, plant) in plants {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("access");
        let sink = open(&path).unwrap();
        append(&sink, 1, 0, b"row", false).await.unwrap();
        drop(sink);
        open(&path).expect("control: as we left it, it opens");
        plant(&path);
        assert!(open(&path).is_err(), "{what}");
    }
}

#[tokio::test]
async fn log_10_a_file_that_stands_where_a_segment_goes_is_not_taken_over() {
    let root = tempfile::tempdir().unwrap();
    let sink = open(&root.path().join("access")).unwrap();
    append(&sink, 1, 0, b"row", false).await.unwrap();
    let place = root.path().join("access/00000000/0000000000000002.rows");
    std::fs::write(&place, b"precious").unwrap();
    assert!(append(&sink, 2, 0, b"row", false).await.is_err());
    std::fs::remove_file(&place).unwrap();
    let target = root.path().join("target");
    std::fs::write(&target, b"precious").unwrap();
    symlink(&target, &place).unwrap();
    assert!(append(&sink, 2, 0, b"row", false).await.is_err());
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
}

#[tokio::test]
async fn a_chunk_replaces_what_a_failed_one_left() {
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(WallMs(0)));
    let sink = FileSink::with_reserve(&root.path().join("access"), WhenSynced::EachSecond, clock, 0).unwrap();
    append(&sink, 1, 0, b"first", false).await.unwrap();
    sink.files.space.store(3, Ordering::SeqCst);
    assert_eq!(append(&sink, 1, 5, b"torn in the middle", false).await, Err(SinkError::Full));
    assert_eq!(frames(&sink, 1).await, b"firsttor");
    sink.files.space.store(u64::MAX, Ordering::SeqCst);
    append(&sink, 1, 5, b"2", false).await.unwrap();
    assert_eq!(frames(&sink, 1).await, b"first2");
    append(&sink, 1, 0, b"anew", false).await.unwrap();
    assert_eq!(frames(&sink, 1).await, b"anew");
}

#[tokio::test]
async fn ft_05_on_a_full_disk_reads_use_half_the_reserve_urgent_rows_all_of_it_and_space_returns_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let sink = open(&root.path().join("access")).unwrap();
    assert_eq!(sink.reserve_left(), 4 << 20);
    append(&sink, 1, 0, b"before", false).await.unwrap();
    sink.files.space.store(0, Ordering::SeqCst);
    append(&sink, 1, 6, b"reading", false).await.unwrap();
    assert_eq!(sink.reserve_left(), 3 << 20);
    sink.files.space.store(0, Ordering::SeqCst);
    append(&sink, 1, 13, b"again", false).await.unwrap();
    assert_eq!(sink.reserve_left(), 2 << 20);
    assert_eq!(append(&sink, 1, 18, b"read", false).await, Err(SinkError::Full), "the rest is for urgent rows only");
    sink.files.space.store(0, Ordering::SeqCst);
    append(&sink, 1, 18, b"revoked", true).await.unwrap();
    assert_eq!(sink.reserve_left(), 1 << 20);
    assert_eq!(append(&sink, 1, 25, b"read", false).await, Err(SinkError::Full), "given back for urgent rows only");
    append(&sink, 1, 25, b"still", true).await.unwrap();
    sink.files.space.store(u64::MAX, Ordering::SeqCst);
    sink.sync().await.unwrap();
    assert_eq!(sink.reserve_left(), 4 << 20);
    append(&sink, 1, 30, b"read", false).await.unwrap();
    assert_eq!(frames(&sink, 1).await, b"beforereadingagainrevokedstillread");
    let blocks = root.path().join("access/reserve").metadata().unwrap().blocks() * 512;
    assert!(blocks >= 4 << 20, "real blocks: {blocks}");
}

#[tokio::test]
async fn ft_30_a_file_rotated_removed_or_truncated_is_noticed_and_written_again() {
    let act: [fn(&Path); 3] = [
        |file| std::fs::rename(file, file.with_extension("old")).unwrap(),
        |file| std::fs::remove_file(file).unwrap(),
        |file| std::fs::write(file, b"").unwrap(),
    ];
    for (index, act) in act.into_iter().enumerate() {
        let root = tempfile::tempdir().unwrap();
        let sink = open(&root.path().join("access")).unwrap();
        append(&sink, 1, 0, b"first", false).await.unwrap();
        act(&root.path().join("access/00000000/0000000000000001.rows"));
        assert_eq!(sink.sync().await, Err(SinkError::Lost), "{index}");
        assert_eq!(append(&sink, 1, 5, b"second", false).await, Err(SinkError::Lost), "{index}");
        append(&sink, 1, 0, b"firstsecond", false).await.unwrap();
        assert_eq!(frames(&sink, 1).await, b"firstsecond", "{index}");
        sink.sync().await.unwrap();
    }
}

#[tokio::test]
async fn ft_30_a_folder_that_was_away_is_gone_on_with_when_it_is_back() {
    for when in [WhenSynced::EachSecond, WhenSynced::Always] {
        for is_blocked in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let (folder, aside) = (root.path().join("access"), root.path().join("aside"));
            let clock = Arc::new(ManualClock::at(WallMs(0)));
            let sink = FileSink::with_reserve(&folder, when, clock, 0).unwrap();
            append(&sink, 1, 0, b"first", false).await.unwrap();
            std::fs::rename(&folder, &aside).unwrap();
            if is_blocked {
                std::fs::write(&folder, b"").unwrap();
                assert_eq!(sink.sync().await, Err(SinkError::Lost), "a name that cannot be flushed is no failed flush");
                assert_eq!(append(&sink, 1, 5, b"second", false).await, Err(SinkError::Lost));
                assert!(append(&sink, 1, 0, b"firstsecond", false).await.is_err());
                std::fs::remove_file(&folder).unwrap();
            } else {
                assert_eq!(sink.sync().await, Err(SinkError::Lost));
                append(&sink, 1, 0, b"firstsecond", false).await.unwrap();
                std::fs::remove_dir_all(&folder).unwrap();
                sink.sync().await.unwrap_err();
            }
            std::fs::rename(&aside, &folder).unwrap();
            append(&sink, 1, 0, b"firstsecondthird", false).await.unwrap();
            assert_eq!(frames(&sink, 1).await, b"firstsecondthird", "{when:?} {is_blocked}");
            sink.sync().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_write_to_a_slow_disk_goes_to_a_thread_and_always_syncs_first() {
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(WallMs(0)));
    let path = root.path().join("access");
    let sink = FileSink::with_reserve(&path, WhenSynced::Always, Arc::clone(&clock) as _, 0).unwrap();
    append(&sink, 1, 0, b"one", false).await.unwrap();
    assert!(sink.files.open.lock().unsynced.is_empty());
    drop(sink);
    let sink = FileSink::with_reserve(&path, WhenSynced::EachSecond, clock, 0).unwrap();
    sink.slow_until.store(u64::MAX, Ordering::Relaxed);
    append(&sink, 2, 0, b"two", false).await.unwrap();
    let files = Arc::clone(&sink.files);
    let held = files.open.lock();
    let place = Place { number: 2, header: None, offset: 3 };
    let refused = std::thread::scope(|scope| scope.spawn(|| sink.files.write(&place, b"x", false, false)).join());
    drop(held);
    assert!(matches!(refused.unwrap(), Err(SinkError::Unavailable(_))), "a hung write does not block the next");
    assert_eq!(frames(&sink, 2).await, b"two");
}

#[tokio::test]
async fn cut_and_remove_do_what_they_say() {
    let root = tempfile::tempdir().unwrap();
    let sink = open(&root.path().join("access")).unwrap();
    append(&sink, 1, 0, b"first", false).await.unwrap();
    sink.cut(1, HEADER_BYTES as u64 + 2).await.unwrap();
    assert_eq!(frames(&sink, 1).await, b"fi");
    sink.remove(1).await.unwrap();
    sink.remove(1).await.unwrap();
    assert_eq!((sink.range().await.unwrap(), sink.read(1).await.unwrap()), (None, None));
}
