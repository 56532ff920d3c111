//! Measures the SQLite store against a bare append and flush on the same disk.
//!
//! `cargo run --release -p storage --example bench -- <folder> [rounds]`: each row is one setting; commits carry one row,
//! `group` blobs of 1 KiB and `group` keys, and a second thread may fold `group` records behind each. Processor time and
//! bytes written tell settings apart also on a busy machine, where rates do not.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![expect(clippy::unwrap_used, reason = "a measurement may stop at the first failure")]
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use bytes::Bytes;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use storage::{
    Batch, BatchId, BatchNumber, Commit, FileOptions, Key, Kind, Op, Place, Put, Run, Shard, Sqlite, SqliteOptions,
    Storage,
};
use testkit::conformance::block_on;

/// Records that stand in the store before a round.
const RECORDS: u64 = 100_000;

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or_else(|| "bench-data".into());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let rounds = args.next().map_or(1, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        bare(folder);
        let usual = SqliteOptions::new("");
        round(folder, usual.ledger, usual.records);
        for page_bytes in [4096, 8192, 16_384] {
            for checkpoint_pages in [1000, 4000] {
                let both = FileOptions { page_bytes, checkpoint_pages };
                round(folder, both, both);
            }
        }
    }
}

fn bare(folder: &Path) {
    let path = folder.join("bare");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let mut times = Vec::new();
    for _ in 0..2000 {
        let start = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        times.push(start.elapsed());
    }
    println!("bare 4 KiB append + fdatasync: {}", shown(&mut times));
    std::fs::remove_file(path).unwrap();
}

fn round(folder: &Path, ledger: FileOptions, records_file: FileOptions) {
    let data = folder.join("data");
    let _absent = std::fs::remove_dir_all(&data);
    let options = SqliteOptions { reserve_bytes: 0, ledger, records: records_file, ..SqliteOptions::new(&data) };
    println!("ledger {ledger:?}, records {records_file:?}");
    let store = Sqlite::open(options).unwrap();
    let mut records = 0;
    while records < RECORDS {
        let ops = (records..records + 10_000).map(|n| Op::Put(record(n), Bytes::from(vec![3; 200]))).collect();
        assert_eq!(block_on(store.apply(Run::new(ops, false))), Commit::Done);
        records += 10_000;
    }
    let mut number = 0;
    let shapes = [("fold behind", 1), ("one row", 32), ("no fold", 32), ("fold behind", 32)];
    for (shape, group) in shapes {
        let count = 2000;
        let (start, before) = (Instant::now(), used());
        let mut times = commits(&store, &mut number, group, count, shape);
        let rate = f64::from(count * group) / start.elapsed().as_secs_f64();
        let after = used();
        let each = |at: usize| (after[at] - before[at]) / f64::from(count);
        println!(
            "    group {group:2}, {shape:11}: {:4.0} us CPU, {:4.0} KiB written a commit; {rate:6.0} entries/s, {}",
            each(0),
            each(1),
            shown(&mut times)
        );
    }
    let get = |what: &str, key: &dyn Fn(u64) -> Key| {
        let mut times = Vec::new();
        for n in 0..20_000_u64 {
            let key = key(n);
            let start = Instant::now();
            assert!(block_on(store.get(vec![key])).unwrap().first().unwrap().is_some());
            times.push(start.elapsed());
        }
        println!("    get {what}: {}", shown(times.split_off(10_000).as_mut()));
    };
    get("record", &record);
    get("blob", &|n| place(4001 + n % 4000, 0).key(Kind::Blob, Shard(0)));
    get("key", &|n| place(4001 + n % 4000, 0).key(Kind::Key, Shard(0)));
    let size = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |meta| meta.len() >> 20);
    println!("    ledger.db {} MiB, records.db {} MiB", size("ledger.db"), size("records.db"));
}

fn commits(store: &Sqlite, number: &mut u64, group: u32, count: u32, shape: &str) -> Vec<Duration> {
    let (send, receive) = sync_channel::<u64>(16);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(number) = receive.recv() {
                let mut keys: Vec<Key> =
                    (0..u64::from(group)).map(|n| record((number * 32 + n) * 7919 % RECORDS)).collect();
                keys.sort();
                let mut ops = vec![Op::Delete(Key::numbered(Kind::Side, Shard(0), BatchNumber(number)))];
                ops.extend(keys.into_iter().map(|key| Op::Put(key, Bytes::from(vec![4; 200]))));
                ops.push(Op::Put(Key::new(Kind::Record, Shard(0), b"watermark".as_slice()), Bytes::from(vec![0; 8])));
                assert_eq!(block_on(store.apply(Run::new(ops, false))), Commit::Done);
            }
        });
        let mut times = Vec::new();
        for _ in 0..count {
            *number += 1;
            let batch = batch(*number, group, shape == "one row");
            let start = Instant::now();
            assert_eq!(block_on(store.commit(batch)), Commit::Done);
            times.push(start.elapsed());
            if shape == "fold behind" {
                send.send(*number).unwrap();
            }
        }
        drop(send);
        times
    })
}

/// Microseconds of processor time and KiB handed to the operating system so far.
fn used() -> [f64; 2] {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: f64 = stat.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    [ticks * 10_000.0, written.parse::<f64>().unwrap() / 1024.0]
}

/// A batch of so many blobs and keys in rows of their own, or all in its one row, which could not be deleted.
fn batch(number: u64, group: u32, one_row: bool) -> Batch {
    if one_row {
        let row = Bytes::from(vec![1; (250 + 1054 + 92) * group as usize]);
        return Batch { row, puts: Vec::new(), ..batch(number, group, false) };
    }
    let put = |kind, index, bytes: usize| Put {
        key: place(number, index).key(kind, Shard(0)),
        value: Bytes::from(vec![5; bytes]),
    };
    Batch {
        shard: Shard(0),
        number: BatchNumber(number),
        id: place(number, 0).id,
        row: Bytes::from(vec![1; 250 * group as usize]),
        side: Some(Bytes::from(vec![2; 60 * group as usize])),
        puts: (0..group).flat_map(|index| [put(Kind::Blob, index, 1054), put(Kind::Key, index, 92)]).collect(),
    }
}

fn place(number: u64, index: u32) -> Place {
    Place { number: BatchNumber(number), id: BatchId([9; 16]), index }
}

/// Spread over the key space as keyed ids are.
fn record(n: u64) -> Key {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Key::new(Kind::Record, Shard(0), id)
}

fn shown(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share: usize| times[times.len() * share / 1000].as_nanos() as f64 / 1000.0;
    format!("p50 {:.1} us, p99 {:.1}, p99.9 {:.1}", at(500), at(990), at(999))
}
