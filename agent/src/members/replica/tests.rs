use std::fs;

use tillbind_protocol::ids::{CardNumber, MemberId};

use super::*;
use crate::members::VALUE_BYTES_MAX;
use crate::vault::test_random;

fn vault() -> Vault {
    Vault::from_key([4; 32], test_random(8))
}

fn open(dir: &Path) -> (Replica, ReplicaRecovery) {
    Replica::open(&dir.join("members"), &vault()).unwrap()
}

fn card(number: u64) -> Key {
    Key::Card(CardNumber::new(format!("627598{number:012}")).unwrap())
}

fn member(number: u64) -> Key {
    Key::Member(MemberId::new(format!("m{number}")).unwrap())
}

fn upsert(key: Key, value: &[u8]) -> Put {
    Put::Upsert {
        key,
        value: value.to_vec(),
    }
}

#[test]
fn a_page_and_its_cursor_are_there_together_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let (replica, recovery) = open(dir.path());
    assert_eq!(recovery, ReplicaRecovery::default());
    assert_eq!(replica.cursor().unwrap(), None);
    let page = [
        upsert(card(1), b"one"),
        upsert(member(1), b"Ann"),
        upsert(card(2), b"two"),
    ];
    replica.apply(&page, "page-1").unwrap();
    replica
        .apply(
            &[upsert(card(1), b"uno"), Put::Remove { key: card(2) }],
            "page-2",
        )
        .unwrap();
    drop(replica);
    let (replica, recovery) = open(dir.path());
    assert_eq!(recovery, ReplicaRecovery::default());
    assert_eq!(replica.cursor().unwrap().as_deref(), Some("page-2"));
    assert_eq!(replica.get(&card(1)).unwrap().unwrap(), b"uno");
    assert_eq!(replica.get(&card(2)).unwrap(), None);
    assert_eq!(replica.get(&member(1)).unwrap().unwrap(), b"Ann");
    assert_eq!(
        replica.counts().unwrap(),
        Counts {
            cards: 1,
            members: 1
        }
    );
}

#[test]
fn the_same_page_twice_counts_once_also_within_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let (replica, _) = open(dir.path());
    let page = [
        upsert(card(1), b"a"),
        upsert(card(1), b"b"),
        Put::Remove { key: card(3) },
        upsert(card(2), b"c"),
        Put::Remove { key: card(2) },
    ];
    for _ in 0..2 {
        replica.apply(&page, "c").unwrap();
        assert_eq!(
            replica.counts().unwrap(),
            Counts {
                cards: 1,
                members: 0
            }
        );
        assert_eq!(replica.get(&card(1)).unwrap().unwrap(), b"b");
    }
}

#[test]
fn a_page_longer_than_a_batch_is_applied_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (replica, _) = open(dir.path());
    let page: Vec<_> = (0..300)
        .map(|n| upsert(card(n), &[n as u8; 2000]))
        .collect();
    replica.apply(&page, "long").unwrap();
    drop(replica);
    let (replica, _) = open(dir.path());
    assert_eq!(replica.counts().unwrap().cards, 300);
    for n in 0..300 {
        assert_eq!(replica.get(&card(n)).unwrap().unwrap(), [n as u8; 2000]);
    }
}

#[test]
fn a_value_that_no_power_cut_would_leave_is_refused_with_its_page() {
    let dir = tempfile::tempdir().unwrap();
    let (replica, _) = open(dir.path());
    let page = [
        upsert(card(1), &[0; VALUE_BYTES_MAX]),
        upsert(card(2), &[0; VALUE_BYTES_MAX + 1]),
    ];
    let refused = replica.apply(&page, "c");
    assert!(matches!(refused, Err(MembersError::TooLarge { .. })));
    assert_eq!(replica.get(&card(1)).unwrap(), None);
    replica.apply(&page[..1], "c").unwrap();
}

#[test]
fn a_damaged_replica_begins_anew_and_the_notes_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (replica, _) = open(dir.path());
    replica.apply(&[upsert(card(1), b"x")], "c").unwrap();
    replica
        .put_local(NoteKind::SeenNonce, b"n1", b"until")
        .unwrap();
    drop(replica);
    fs::write(dir.path().join("members/replica/db"), b"nothing like it").unwrap();
    for entry in fs::read_dir(dir.path().join("members/replica")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("snap.")
        {
            fs::remove_file(path).unwrap();
        }
    }
    let (replica, recovery) = open(dir.path());
    assert!(recovery.replica_damage.is_some());
    assert_eq!(recovery.notes_damage, None);
    assert_eq!(replica.cursor().unwrap(), None);
    assert_eq!(
        replica
            .get_local(NoteKind::SeenNonce, b"n1")
            .unwrap()
            .unwrap(),
        b"until"
    );
    assert!(dir.path().join("members/replica.damaged").exists());
}

#[test]
fn a_reset_empties_the_replica_in_use_and_keeps_the_notes() {
    let dir = tempfile::tempdir().unwrap();
    let (replica, _) = open(dir.path());
    replica.apply(&[upsert(card(1), b"x")], "c").unwrap();
    replica
        .put_local(NoteKind::FileRead, b"a.xml", b"17")
        .unwrap();
    for _ in 0..2 {
        replica.reset().unwrap();
        assert_eq!(replica.cursor().unwrap(), None);
        assert_eq!(replica.get(&card(1)).unwrap(), None);
        assert_eq!(replica.counts().unwrap(), Counts::default());
    }
    replica.apply(&[upsert(card(1), b"y")], "d").unwrap();
    drop(replica);
    let (replica, _) = open(dir.path());
    assert_eq!(replica.get(&card(1)).unwrap().unwrap(), b"y");
    assert_eq!(
        replica
            .get_local(NoteKind::FileRead, b"a.xml")
            .unwrap()
            .unwrap(),
        b"17"
    );
    assert!(replica.disk_bytes() > 0);
}

#[test]
fn notes_are_listed_by_kind_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (replica, _) = open(dir.path());
    replica
        .put_local(NoteKind::SeenNonce, b"same", b"1")
        .unwrap();
    replica
        .put_local(NoteKind::FileRead, b"same", b"2")
        .unwrap();
    replica
        .put_local(NoteKind::FileRead, b"other", b"3")
        .unwrap();
    drop(replica);
    let (replica, _) = open(dir.path());
    let mut notes = replica.scan_local(NoteKind::FileRead).unwrap();
    notes.sort_by(|a, b| a.value.cmp(&b.value));
    assert_eq!(
        notes[0],
        Note {
            key: b"same".to_vec(),
            value: b"2".to_vec()
        }
    );
    assert_eq!(notes.len(), 2);
    replica
        .remove_local(NoteKind::FileRead, &[b"same", b"never there"])
        .unwrap();
    assert_eq!(
        replica.get_local(NoteKind::FileRead, b"same").unwrap(),
        None
    );
    assert_eq!(
        replica
            .get_local(NoteKind::SeenNonce, b"same")
            .unwrap()
            .unwrap(),
        b"1"
    );
    let long = vec![0; VALUE_BYTES_MAX];
    let refused = replica.put_local(NoteKind::Setting, b"k", &long);
    assert!(matches!(refused, Err(MembersError::TooLarge { .. })));
}

#[test]
fn another_key_sets_nothing_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (replica, _) = open(dir.path());
    replica.apply(&[upsert(card(1), b"x")], "c").unwrap();
    drop(replica);
    let other = Vault::from_key([5; 32], test_random(8));
    let refused = Replica::open(&dir.path().join("members"), &other);
    assert!(matches!(refused, Err(MembersError::OtherKey { .. })));
    let (replica, _) = open(dir.path());
    assert_eq!(replica.get(&card(1)).unwrap().unwrap(), b"x");
}

#[test]
fn neither_numbers_nor_values_stand_in_clear_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (replica, _) = open(dir.path());
    replica
        .apply(&[upsert(card(1), b"Ann Example")], "c")
        .unwrap();
    replica
        .put_local(NoteKind::Binding, b"627598000000000001", b"Ann Example")
        .unwrap();
    drop(replica);
    for name in ["replica", "notes"] {
        let bytes = fs::read(dir.path().join("members").join(name).join("db")).unwrap();
        for clear in [b"627598".as_slice(), b"Ann"] {
            assert!(!bytes.windows(clear.len()).any(|w| w == clear));
        }
    }
}

#[test]
fn a_store_that_came_up_older_says_so_once_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault();
    let members = dir.path().join("members");
    let (replica, _) = Replica::open(&members, &vault).unwrap();
    for index in 0..5_u8 {
        replica.put_local(NoteKind::Sale, &[index], b"x").unwrap();
    }
    drop(replica);
    // What sled does at a damage: the newest changes are gone, and nothing looks wrong.
    let aside = dir.path().join("older");
    copy_dir(&members.join("notes"), &aside);
    let (replica, recovery) = Replica::open(&members, &vault).unwrap();
    assert_eq!(recovery.notes_damage, None);
    replica.put_local(NoteKind::Sale, b"newest", b"x").unwrap();
    drop(replica);
    fs::remove_dir_all(members.join("notes")).unwrap();
    copy_dir(&aside, &members.join("notes"));
    let (replica, recovery) = Replica::open(&members, &vault).unwrap();
    let why = recovery.notes_damage.unwrap();
    assert!(why.contains("last 1 changes"), "{why}");
    assert_eq!(replica.scan_local(NoteKind::Sale).unwrap().len(), 5);
    replica.put_local(NoteKind::Sale, b"next", b"x").unwrap();
    drop(replica);
    let (_, recovery) = Replica::open(&members, &vault).unwrap();
    assert_eq!(recovery.notes_damage, None);
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
