//! A year's real tills over two terminals, with everything killed on the way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tillbind_tests::api::Api;
use tillbind_tests::central::{Central, Database};
use tillbind_tests::clock::{Stopwatch, wait_for};
use tillbind_tests::environment;
use tillbind_tests::postgres::Postgres;
use tillbind_tests::retail::{Basket, CURRENCY, baskets};
use tillbind_tests::scene;
use tillbind_tests::terminal::{Setup, Terminal};

/// Open calls for each terminal.
const CALLERS: usize = 6;
/// Baskets that may arrive while something is down, so that the others work on meanwhile.
const BASKETS_MEANWHILE: usize = 400;
/// Far longer than one basket may take on the slowest machine, restarts included.
const PROGRESS_WITHIN: Duration = Duration::from_secs(300);

#[test]
fn every_real_basket_arrives_once_with_the_right_sum_though_all_are_killed() -> Result<()> {
    let Some(samples) = environment::samples("the real till lines of retail/sales.csv.gz") else {
        return Ok(());
    };
    let baskets = baskets(&samples.join("retail/sales.csv.gz"))?;
    ensure!(baskets.len() == 47_243, "{} baskets", baskets.len());
    let postgres = Postgres::start_new()?;
    let database = Database::Postgres(postgres.database("retail")?);
    scene::play("retail", |scene| {
        let watch = Stopwatch::start();
        let mut central = scene.central("central", &database)?;
        let mut tills = Vec::new();
        for workstation in ["1", "2"] {
            let setup = Setup::new("R001", workstation);
            let name = format!("till-{workstation}");
            tills.push(scene.terminal(&name, &central, setup)?);
        }
        let doors = [door(&tills[0])?, door(&tills[1])?];
        let accepted = AtomicUsize::new(0);
        thread::scope(|scope| -> Result<()> {
            let callers: Vec<_> = (0..2 * CALLERS)
                .map(|caller| {
                    let (doors, accepted, baskets) = (&doors, &accepted, &baskets);
                    scope.spawn(move || -> Result<()> {
                        let mine = baskets
                            .iter()
                            .enumerate()
                            .filter(|(place, _)| place % (2 * CALLERS) == caller);
                        for (_, basket) in mine {
                            hand_in(&doors[caller % 2], basket)?;
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(())
                    })
                })
                .collect();
            let killed =
                kill_on_the_way(&mut central, &mut tills, &doors, &accepted, baskets.len());
            for caller in callers {
                caller.join().ok().context("a caller panicked")??;
            }
            killed
        })?;
        report(&format!("{} baskets accepted", baskets.len()), watch);
        for till in &tills {
            till.wait_for_drained(PROGRESS_WITHIN)?;
        }
        report("drained into PostgreSQL", watch);
        compare(&central, &baskets)?;
        report("compared", watch);
        Ok(())
    })
}

/// Where a till's API is now; it moves when the agent is started anew.
type Door = Mutex<(SocketAddr, String)>;

fn door(till: &Terminal) -> Result<Door> {
    Ok(Mutex::new(address(till)?))
}

fn address(till: &Terminal) -> Result<(SocketAddr, String)> {
    let token = std::fs::read_to_string(till.data().join("api.token"))?;
    Ok((till.api_address()?, token))
}

/// Hands a basket in until the till says that it is durable.
fn hand_in(door: &Door, basket: &Basket) -> Result<()> {
    thread_local! {
        static API: std::cell::RefCell<Option<(SocketAddr, Api)>> =
            const { std::cell::RefCell::new(None) };
    }
    let body = basket.json();
    wait_for("a basket to be accepted", PROGRESS_WITHIN, || {
        let (address, token) = door.lock().unwrap_or_else(PoisonError::into_inner).clone();
        API.with_borrow_mut(|api| {
            if api.as_ref().is_none_or(|(at, _)| *at != address) {
                *api = Some((address, Api::new(address, &token)?));
            }
            let Some((_, api)) = api else { return Ok(None) };
            match api.post("/v1/transactions", &body) {
                Ok(reply) if reply.status == 202 => Ok(Some(())),
                // Refused for good: asking again would not help.
                Ok(reply) if reply.status < 500 && reply.status != 429 => {
                    reply.expect(202).map(|_| None)
                }
                Ok(_) | Err(_) => Ok(None),
            }
        })
    })
}

/// Kills central three times and each agent twice, spread over the baskets.
fn kill_on_the_way(
    central: &mut Central,
    tills: &mut [Terminal],
    doors: &[Door; 2],
    accepted: &AtomicUsize,
    total: usize,
) -> Result<()> {
    let reach = |count: usize| {
        wait_for("baskets to be accepted", PROGRESS_WITHIN, || {
            Ok((accepted.load(Ordering::Relaxed) >= count.min(total)).then_some(()))
        })
    };
    let victims = [None, Some(0), None, Some(1), None, Some(0), Some(1)];
    for (place, victim) in victims.into_iter().enumerate() {
        let at = total * (place + 1) / (victims.len() + 1);
        reach(at)?;
        match victim {
            None => {
                central.kill()?;
                reach(at + BASKETS_MEANWHILE)?;
                central.start()?;
            }
            Some(till) => {
                tills[till].kill()?;
                reach(at + BASKETS_MEANWHILE / 4)?;
                tills[till].start()?;
                let moved = address(&tills[till])?;
                *doors[till].lock().unwrap_or_else(PoisonError::into_inner) = moved;
            }
        }
    }
    Ok(())
}

fn compare(central: &Central, baskets: &[Basket]) -> Result<()> {
    let exported = central.export("transactions")?;
    let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for transaction in &exported {
        let sequence = transaction["sequence"].as_str().context("no sequence")?;
        found.entry(sequence).or_default().push(transaction);
    }
    for basket in baskets {
        let sequence = basket.id.to_string();
        let [transaction] = found.get(sequence.as_str()).map_or(&[][..], Vec::as_slice) else {
            anyhow::bail!(
                "basket {sequence} arrived {:?}",
                found.get(sequence.as_str())
            );
        };
        ensure!(
            transaction["total_minor"].as_i64() == Some(basket.total_cents)
                && transaction["currency"] == CURRENCY
                && transaction["card"] == basket.card.as_str()
                && transaction["source"] == "api"
                && transaction["business_day"] == basket.ended.date().to_string(),
            "basket {sequence} of {} cents and card {} arrived as {transaction}",
            basket.total_cents,
            basket.card
        );
    }
    ensure!(
        exported.len() == baskets.len(),
        "{} arrived",
        exported.len()
    );
    let played: i64 = baskets.iter().map(|basket| basket.total_cents).sum();
    let arrived: i64 = exported
        .iter()
        .filter_map(|transaction| transaction["total_minor"].as_i64())
        .sum();
    ensure!(arrived == played, "{arrived} cents arrived of {played}");

    let households: std::collections::BTreeSet<&str> =
        baskets.iter().map(|basket| basket.card.as_str()).collect();
    let cards = central.export("cards")?;
    ensure!(
        cards.len() == households.len(),
        "{} cards for {} households",
        cards.len(),
        households.len()
    );
    let events = central.export("events")?;
    let told = events
        .iter()
        .filter(|event| event["kind"] == "transaction" && event["body"]["amends"].is_null());
    ensure!(told.count() == baskets.len(), "a basket was recorded twice");
    ensure!(central.export("gaps")?.is_empty(), "there are gaps");
    ensure!(
        central.export("quarantine")?.is_empty(),
        "there are quarantined events"
    );
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "a long test says how long its parts took"
)]
fn report(what: &str, watch: Stopwatch) {
    println!("{:>6.1} s  {what}", watch.elapsed().as_secs_f32());
}
