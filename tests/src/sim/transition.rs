//! What the world does to terminals, lines and central.

use std::time::Duration;

use tillbind_protocol::exchange::MIN;

use super::chance::Chance;
use super::record::{Class, Wish};
use super::terminal::End;

/// Cards and accounts that bindings are about: few, so that requests compete.
const CARDS: u64 = 8;
const ACCOUNTS: u64 = 5;
/// Wall clocks that a dead battery, a bad time server or a technician set, in milliseconds.
const ODD_WALL_MS: [i64; 5] = [
    0,
    2_147_483_647_000,
    4_102_444_800_000,
    1_789_990_000_000,
    1_790_000_500_000,
];

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Transition {
    /// Something at a till: groups of events, one after the other.
    Record(Vec<Vec<(Class, Option<Wish>)>>),
    ChangeMember(u64, i64),
    TurnLine,
    Throttle(Option<u64>),
    End(End),
    Suspend(Duration),
    SetWall(i64),
    /// The disk has room for so many more events, or for any number.
    Fill(Option<usize>),
    Damage(usize),
    Backup,
    Restore,
    Clone,
    KillProcess,
    BackupCentral,
    RestoreCentral,
    /// Another version of the agent, or of a process of central, is installed.
    Install(u16),
    InstallCentral(u16),
}

fn wish(chance: &mut Chance) -> Wish {
    Wish {
        card: chance.below(CARDS),
        account: chance.below(ACCOUNTS),
    }
}

fn event(chance: &mut Chance) -> (Class, Option<Wish>) {
    match chance.below(20) {
        0 => (Class::FileRejected, None),
        1..3 => (Class::ReceiptUnparsed, None),
        3..10 => (Class::Scan, None),
        10..17 => (Class::Transaction, None),
        _ => (Class::BindingRequested, Some(wish(chance))),
    }
}

fn group(chance: &mut Chance) -> Vec<(Class, Option<Wish>)> {
    (0..=chance.below(3)).map(|_| event(chance)).collect()
}

impl Transition {
    /// Draws one.
    pub(super) fn draw(chance: &mut Chance) -> Self {
        match chance.below(1_000) {
            0..450 => Self::Record(vec![group(chance)]),
            450..500 => {
                let groups = 1 + chance.below(12);
                Self::Record((0..groups).map(|_| group(chance)).collect())
            }
            500..600 => {
                let points = i64::try_from(chance.below(1_000)).unwrap_or(0);
                Self::ChangeMember(chance.below(12), points)
            }
            600..680 => Self::TurnLine,
            680..700 => Self::Throttle(Some(30 + chance.below(2_000))),
            700..720 => Self::Throttle(None),
            720..790 if chance.below(2) == 0 => Self::End(End::Kill),
            720..790 => Self::End(End::PowerCut),
            790..800 => Self::Suspend(Duration::from_millis(chance.below(120_000))),
            800..825 => Self::SetWall(ODD_WALL_MS[chance.index(ODD_WALL_MS.len())]),
            825..840 => Self::Fill(Some(chance.index(6))),
            840..855 => Self::Fill(None),
            855..862 => Self::Damage(chance.index(64)),
            862..912 => Self::Backup,
            912..937 => Self::Restore,
            937..942 => Self::Clone,
            942..965 => Self::KillProcess,
            965..985 => Self::BackupCentral,
            985..992 => Self::RestoreCentral,
            992..996 => Self::Install(MIN + u16::try_from(chance.below(2)).unwrap_or(0)),
            _ => Self::InstallCentral(MIN + u16::try_from(chance.below(2)).unwrap_or(0)),
        }
    }
}
