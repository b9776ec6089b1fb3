use std::fs;
use std::path::Path;

use super::*;

async fn tap(dir: &Path, printer: PrinterTarget) -> Rig {
    let settings = ReceiptTapConfig {
        pos: PosSide::Spool(dir.to_owned()),
        ..config(printer)
    };
    Rig::start_with(settings, 64).await
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_job_waits_for_its_printer_is_printed_whole_read_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (listener, target) = network_printer().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    fs::write(dir.path().join("one.prn"), "tea 5.00\n\x1dV\0").unwrap();
    fs::write(dir.path().join("two.tmp"), "half").unwrap();
    let mut rig = tap(dir.path(), target).await;
    loop {
        if rig.port().await.as_str() == "lost" {
            break;
        }
    }
    assert_eq!(names(dir.path()), ["one.prn", "two.tmp"]);

    let listener = TcpListener::bind(address).await.unwrap();
    let mut printer = accepted(&listener).await;
    assert_eq!(read_to_end(&mut printer).await, b"tea 5.00\n\x1dV\0");
    drop(printer);
    assert_eq!(rig.receipt().await.0, "tea 5.00");
    until(|| names(dir.path()) == ["two.tmp"]).await;
}

#[tokio::test]
async fn a_printer_that_breaks_off_gets_the_whole_job_again() {
    let dir = tempfile::tempdir().unwrap();
    let job = vec![b'x'; 3_000_000];
    fs::write(dir.path().join("long.prn"), &job).unwrap();
    let (listener, target) = network_printer().await;
    let _rig = tap(dir.path(), target).await;
    let mut printer = accepted(&listener).await;
    read_exact(&mut printer, 1_000).await;
    printer.set_zero_linger().unwrap();
    drop(printer);
    let mut printer = accepted(&listener).await;
    assert_eq!(read_to_end(&mut printer).await.len(), job.len());
}

#[tokio::test]
async fn a_job_of_the_same_name_does_not_replace_one_that_is_printed_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("receipt.prn");
    let job = vec![b'x'; 3_000_000];
    fs::write(&path, &job).unwrap();
    let (listener, target) = network_printer().await;
    let _rig = tap(dir.path(), target).await;
    let mut printer = accepted(&listener).await;
    read_exact(&mut printer, 1_000).await;
    fs::write(&path, "the next one").unwrap();
    printer.set_zero_linger().unwrap();
    drop(printer);
    let mut printer = accepted(&listener).await;
    assert_eq!(read_to_end(&mut printer).await.len(), job.len());
    drop(printer);
    let mut printer = accepted(&listener).await;
    assert_eq!(read_to_end(&mut printer).await, b"the next one");
}

#[tokio::test]
async fn what_was_printed_before_a_kill_is_read_and_not_printed_again() {
    let dir = tempfile::tempdir().unwrap();
    let printed = dir.path().join(".tillbind-printed-7-one.prn");
    let printing = dir.path().join(".tillbind-printing-8-two.prn");
    fs::write(&printed, "first\n\x1dV\0").unwrap();
    fs::write(&printing, "second\n\x1dV\0").unwrap();
    let (listener, target) = network_printer().await;
    let mut rig = tap(dir.path(), target).await;
    assert_eq!(rig.receipt().await.0, "first");
    let mut printer = accepted(&listener).await;
    assert_eq!(read_to_end(&mut printer).await, b"second\n\x1dV\0");
    drop(printer);
    assert_eq!(rig.receipt().await.0, "second");
    until(|| names(dir.path()).is_empty()).await;
}

#[tokio::test]
async fn a_job_that_is_still_written_is_not_printed_in_two() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slow.prn");
    let mut rig = tap(dir.path(), PrinterTarget::Virtual).await;
    let mut text = String::new();
    for line in 0..8 {
        text.push_str(&format!("line {line}\n"));
        fs::write(&path, &text).unwrap();
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    let (read, ended_by, _) = rig.receipt().await;
    assert_eq!(read.lines().count(), 8, "{read}");
    assert_eq!(ended_by, JobEnd::Close);
}

#[tokio::test]
async fn links_empty_files_and_jobs_longer_than_any_receipt_are_not_printed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "secret").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
    fs::File::create(dir.path().join("empty")).unwrap();
    let long = fs::File::create(dir.path().join("long")).unwrap();
    long.set_len(65 << 20).unwrap();
    let mut rig = tap(dir.path(), PrinterTarget::Virtual).await;
    until(|| names(dir.path()).contains(&".tillbind-too-long-long".to_owned())).await;
    fs::write(dir.path().join("receipt"), "tea\n\x1dV\0").unwrap();
    assert_eq!(rig.receipt().await.0, "tea");
    let error = rig.devices.status()[0].last_error.clone();
    assert!(error.is_some_and(|error| error.contains("set aside")));
}

#[tokio::test]
async fn a_tap_whose_owner_is_gone_ends_without_being_told() {
    let dir = tempfile::tempdir().unwrap();
    let rig = tap(dir.path(), PrinterTarget::Virtual).await;
    let Rig {
        devices,
        mut events,
        stop,
        ..
    } = rig;
    drop(stop);
    let told = async { while events.recv().await.is_some() {} };
    within(async { tokio::join!(devices.stopped(), told) }).await;
}

#[tokio::test]
async fn a_spooled_receipt_bears_its_claim_and_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("one.prn"), "tea 5.00\n\x1dV\0").unwrap();
    let (listener, target) = network_printer().await;
    let settings = ReceiptTapConfig {
        pos: PosSide::Spool(dir.path().to_owned()),
        ..footer::with_footer(target)
    };
    let mut rig = Rig::start_with(settings, 64).await;
    let mut printer = accepted(&listener).await;
    let ((), paper) = tokio::join!(footer::offered(&mut rig), read_to_end(&mut printer));
    drop(printer);
    assert!(paper.starts_with(b"tea 5.00\n") && paper.ends_with(b"\x1dV\0"));
    let content = footer::code().content();
    assert!(footer::has(&paper, content.as_bytes()), "{paper:?}");
    until(|| names(dir.path()).is_empty()).await;
    assert_eq!(rig.devices.status()[0].counts.jobs, 1);
}
