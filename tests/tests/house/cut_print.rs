//! `kill -9` of the agent in the middle of a print.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use tillbind_tests::central::Database;
use tillbind_tests::clock::{self, Stopwatch, wait_for};
use tillbind_tests::receipt;
use tillbind_tests::sale::Sale;
use tillbind_tests::scene;
use tillbind_tests::shop::{DURABLE_WITHIN, Shop};
use tillbind_tests::terminal::Setup;

/// An image of 576 by 400 dots, by far longer than any buffer on the way.
fn image() -> Vec<u8> {
    let mut bytes = b"\x1b@\x1dv0\x00\x48\x00\x90\x01".to_vec();
    bytes.extend((0..72 * 400u32).map(|n| (n % 251) as u8));
    bytes.extend_from_slice(b"\nTOTAL 5.00\n\x1dV\x00");
    bytes
}

#[test]
fn a_kill_in_mid_print_leaves_a_cut_job_and_no_garbage_and_the_next_receipt_is_whole() -> Result<()>
{
    scene::play("cut-print", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        let job = image();
        for share in [1, 2, 3] {
            shop.printer.tear_off();
            let address = shop.terminal.tap("printer")?;
            let mut pos = TcpStream::connect(address)?;
            let (first, rest) = job.split_at(job.len() * share / 4);
            pos.write_all(first)?;
            shop.printer.wait_for_bytes(first.len(), DURABLE_WITHIN)?;
            shop.terminal.kill()?;
            // The POS goes on until it is told; nobody takes any of it.
            let sent = wait_for("the POS to be told", DURABLE_WITHIN, || {
                Ok(pos.write_all(rest).is_err().then_some(()))
            });
            sent?;
            let paper = shop.printer.tear_off();
            ensure!(
                job.starts_with(&paper) && paper.len() < job.len(),
                "the printer got {} bytes that are no beginning of the job",
                paper.len()
            );

            let watch = Stopwatch::start();
            shop.terminal.launch()?;
            let back = wait_for("the tap to be back", DURABLE_WITHIN, || {
                Ok(TcpStream::connect(address).ok())
            })?;
            let away = watch.elapsed();
            drop(back);
            shop.terminal.wait_until_ready()?;
            ensure!(away < Duration::from_secs(20), "no printing for {away:?}");
            let sale = Sale::numbered("S001", "1", clock::now(), share as u32);
            shop.print(&receipt::printed(&sale))?;
            told(share, away);
        }
        Ok(())
    })
}

#[expect(
    clippy::print_stderr,
    reason = "a figure for people, which no test judges"
)]
fn told(share: usize, away: Duration) {
    eprintln!("killed at {share}/4 of a job: the tap took connections again after {away:?}");
}
