//! How large the agent is, on the disk and idle in memory.

use std::fs;
use std::time::Duration;

use anyhow::Result;

use super::Row;
use crate::central::Database;
use crate::clock::wait_for;
use crate::environment;
use crate::scene::Scene;
use crate::shop::Shop;
use crate::terminal::Setup;

const DRAINED_WITHIN: Duration = Duration::from_secs(30);
/// So many looks in a row must show the same memory before it counts as idle.
const STEADY_LOOKS: u32 = 100;
const STEADY_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn measure() -> Result<Vec<Row>> {
    Ok(vec![size("tillbind")?, idle_memory()?])
}

fn size(program: &str) -> Result<Row> {
    let path = environment::binaries()?.join(program);
    let bytes = fs::metadata(&path)?.len();
    Ok(Row {
        what: format!("size of `{program}`"),
        measured: format!("{:.1} MB", bytes as f64 / 1e6),
        beside: if cfg!(debug_assertions) {
            "a debug build: says nothing".to_owned()
        } else {
            "stripped, as it is shipped (profile dist)".to_owned()
        },
        goal: "12 MB".to_owned(),
    })
}

/// An agent that is enrolled, with scanner, tap and journal, its line up and nothing to do.
fn idle_memory() -> Result<Row> {
    let scene = Scene::new("idle")?;
    let central = scene.central("central", &Database::Sqlite)?;
    let mut shop = Shop::open(&scene, "till", &central, Setup::new("S001", "1"))?;
    shop.terminal.wait_for_drained(DRAINED_WITHIN)?;
    let agent = shop.terminal.daemon()?;
    let (mut last, mut looks) = (0, 0);
    let resident_kib = wait_for("the agent's memory to be steady", STEADY_WITHIN, || {
        let now = agent.memory_kib("VmRSS")?;
        looks = if now == last { looks + 1 } else { 0 };
        last = now;
        Ok((looks >= STEADY_LOOKS).then_some(now))
    })?;
    let peak_kib = agent.memory_kib("VmHWM")?;
    Ok(Row {
        what: "agent's idle memory (RSS)".to_owned(),
        measured: format!("{:.1} MB", resident_kib as f64 * 1024.0 / 1e6),
        beside: format!(
            "at most {:.1} MB since its start",
            peak_kib as f64 * 1024.0 / 1e6
        ),
        goal: "15 MB".to_owned(),
    })
}
