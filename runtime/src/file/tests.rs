use std::path::Path;

use super::*;

fn run<F: Future>(make: impl FnOnce() -> F) -> F::Output {
    block_on(make).expect("an executor")
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn what_is_written_is_read_back_at_any_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a/b/data.bin");
    let bytes = pattern(3 * WRITE_CHUNK_BYTES + 12_345);
    run(|| async {
        create_dir_all(path.parent().expect("a parent")).await.expect("folders");
        let mut file = WriteFile::create_new(&path).await.expect("create");
        for part in bytes.chunks(10_007) {
            file.append(part).await.expect("append");
        }
        assert_eq!(file.len(), bytes.len() as u64);
        assert_eq!(file.finish().await.expect("finish"), bytes.len() as u64);
        sync_dir(path.parent().expect("a parent")).await.expect("sync");

        let file = ReadFile::open(&path).await.expect("open");
        assert_eq!(file.len(), bytes.len() as u64);
        assert_eq!(file.read_at(17, 99_999).await.expect("read"), bytes[17..17 + 99_999]);
        assert_eq!(file.read_at(5, 0).await.expect("read"), Vec::<u8>::new());
        let error = file.read_at(bytes.len() as u64 - 1, 2).await.expect_err("behind the end");
        assert!(error.to_string().contains("data.bin: the file ends at"), "{error}");
        for (offset, chunk) in [(0, READ_CHUNK_BYTES), (1, 4096), (bytes.len() as u64 - 1, 7)] {
            let file = ReadFile::open(&path).await.expect("open");
            let mut stream = file.stream_by(offset, chunk);
            let mut found = Vec::new();
            while stream.fill(&mut found).await.expect("fill") > 0 {}
            assert!(found == bytes[offset as usize..], "from {offset} by {chunk}");
            stream.close().await.expect("close");
        }
        file.close().await.expect("close");
    });
}

#[test]
fn a_long_buffer_is_written_in_bounded_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.bin");
    let bytes = pattern(2 * WRITE_BYTES_MAX + 12_345);
    run(|| async {
        let mut file = WriteFile::create_new(&path).await.expect("create");
        // Each write checks its own length in builds with assertions.
        for end in [WRITE_BYTES_MAX + 1, bytes.len()] {
            let start = file.len() as usize;
            file.append(&bytes[start..end]).await.expect("append");
        }
        assert_eq!(file.finish().await.expect("finish"), bytes.len() as u64);
    });
    assert!(std::fs::read(&path).expect("read") == bytes);
}

#[test]
fn a_dropped_fill_loses_no_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.bin");
    let bytes = pattern(100_000);
    std::fs::write(&path, &bytes).expect("write");
    run(|| async {
        let mut stream = ReadFile::open(&path).await.expect("open").stream_by(0, 1000);
        let mut found = Vec::new();
        loop {
            // Polled once and dropped.
            let once = poll_once(stream.fill(&mut found)).await;
            if once.is_none() && stream.fill(&mut found).await.expect("fill") == 0 {
                break;
            }
            if matches!(once, Some(Ok(0))) {
                break;
            }
        }
        assert!(found == bytes);
        stream.close().await.expect("close");
    });
}

async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn positions_beyond_four_gibibytes_are_read() {
    use std::os::unix::fs::FileExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sparse.bin");
    let far = (5u64 << 30) + 3;
    std::fs::File::create(&path).and_then(|file| file.write_all_at(b"far away", far)).expect("a sparse file");
    run(|| async {
        let file = ReadFile::open(&path).await.expect("open");
        assert_eq!(file.read_at(far, 8).await.expect("read").as_ref(), b"far away");
        let mut stream = file.stream(far + 4);
        let mut found = Vec::new();
        while stream.fill(&mut found).await.expect("fill") > 0 {}
        assert_eq!(found, b"away");
        stream.close().await.expect("close");
    });
}

#[test]
fn failures_name_the_path_and_what_was_being_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let there = folder.path().join("there");
    std::fs::write(&there, "x").expect("write");
    run(|| async {
        let error = ReadFile::open(folder.path().join("missing")).await.expect_err("missing");
        assert!(error.to_string().starts_with("opening /"), "{error}");
        assert!(error.to_string().ends_with("missing: No such file or directory"), "{error}");
        assert!(error.is_retryable());
        let error = WriteFile::create_new(&there).await.err().expect("exists");
        assert!(error.to_string().ends_with("there: File exists"), "{error}");
        let error = create_dir_all(&there.join("below")).await.expect_err("a file in the way");
        assert!(error.to_string().ends_with("below: Not a directory"), "{error}");
        assert!(!error.is_retryable());
        let error = rename(&folder.path().join("missing"), &there).await.expect_err("missing");
        assert!(error.to_string().starts_with("renaming"), "{error}");
        remove(&folder.path().join("missing")).await.expect("nothing to remove");
        let panicked = blocking("doing", Path::new("/x"), || -> io::Result<()> { panic!("oops") }).await;
        assert!(panicked.expect_err("panicked").to_string().contains("panicked"));
    });
}

#[test]
fn a_full_disk_fails_the_write_with_its_cause() {
    // /dev/full refuses every write as a full disk does.
    let path = Path::new("/dev/full");
    run(|| async {
        let file = glommio::io::OpenOptions::new().write(true).buffered_open(path).await.expect("open");
        let mut file = WriteFile::of(file, path);
        let chunk = vec![7; WRITE_CHUNK_BYTES];
        let mut failed = None;
        for _ in 0..WRITES_BEHIND_MAX + 2 {
            if let Err(error) = file.append(&chunk).await {
                failed = Some(error);
                break;
            }
        }
        let error = failed.expect("a failure, at the latest when too many writes are under way");
        assert_eq!(error.to_string(), "writing /dev/full: No space left on device");
        assert!(file.finish().await.is_err());
    });
}

#[test]
fn abandoned_and_dropped_files_let_go_of_their_descriptors() {
    let folder = tempfile::tempdir().expect("a folder");
    let open_here = || {
        let own = folder.path().to_owned();
        std::fs::read_dir("/proc/self/fd")
            .expect("descriptors")
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.starts_with(&own))
            .count()
    };
    run(|| async {
        let mut file = WriteFile::create_new(folder.path().join("a")).await.expect("create");
        file.append(b"x").await.expect("append");
        file.abandon().await;
        drop(WriteFile::create_new(folder.path().join("b")).await.expect("create"));
        drop(ReadFile::open(folder.path().join("b")).await.expect("open").stream(0));
        // Any I/O gives the reactor its turn.
        for _ in 0..3 {
            let file = ReadFile::open(folder.path().join("b")).await.expect("open");
            file.close().await.expect("close");
        }
        assert_eq!(open_here(), 0);
    });
}
