use tillbind_central::dictionary::training::{self, RECORDS_MIN};
use tillbind_central::dictionary::{Shelf, newest};

use crate::support::Bench;
use crate::support::till::{NOW_MS, Till};

pub(crate) async fn one_is_trained_once_there_is_enough_and_every_process_reads_it(bench: &Bench) {
    let store = &bench.store;
    assert_eq!(training::look(store, NOW_MS).await.unwrap(), None);
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    let enough = u64::try_from(RECORDS_MIN).unwrap();
    for n in 1..=enough {
        let card = format!("29{:011}", n * 7_919);
        till.sale(&format!("{:06}", n + 30_000), 1_050, Some(&card));
    }
    bench.take(&terminal, &till.batch(1..=enough - 1)).await;
    assert_eq!(training::look(store, NOW_MS).await.unwrap(), None);
    bench.take(&terminal, &till.batch(enough..=enough)).await;
    let id = training::look(store, NOW_MS).await.unwrap().unwrap();
    assert_eq!(newest(store.reader()).await.unwrap(), Some((id, NOW_MS)));
    // Young, and later on no better than itself.
    let year_ms = 365 * 24 * 3_600 * 1_000;
    for now_ms in [NOW_MS + 1, NOW_MS + year_ms] {
        assert_eq!(training::look(store, now_ms).await.unwrap(), None);
    }

    let of_another_process = Shelf::new(store.clone());
    let held = of_another_process.get(id).await.unwrap().unwrap();
    assert_eq!(held.dictionary.id, id);
    assert!(of_another_process.get(id ^ 1).await.unwrap().is_none());
}
