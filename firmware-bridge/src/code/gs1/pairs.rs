//! Which identifiers must stand together, and which must not.
//!
//! Facts from the GS1 syntax dictionary (`req`, `ex`), for the identifiers of service relations and
//! of coupons. GS1 has the rules hold for all that one physical item bears; a member's card and a
//! coupon bear one code.

use super::{Gs1Error, Message};

/// The rules of the identifiers whose digits start with `ai`.
struct Rule {
    ai: &'static str,
    /// One of these must stand beside it; empty where it may stand alone.
    needs: &'static [&'static str],
    /// None of these, nor any that starts with one of these, may.
    excludes: &'static [&'static str],
}

const fn rule(
    ai: &'static str,
    needs: &'static [&'static str],
    excludes: &'static [&'static str],
) -> Rule {
    Rule {
        ai,
        needs,
        excludes,
    }
}

const RULES: [Rule; 19] = [
    rule("255", &[], &["01", "02", "415", "8006", "8020", "8026"]),
    rule("390", &["255", "8020"], &["390", "391", "394", "8111"]),
    rule("394", &["255"], &["394", "8111"]),
    rule("7241", &["8017", "8018"], &[]),
    rule("7242", &["8017", "8018"], &[]),
    rule("7250", &["8018"], &["7251"]),
    rule("7251", &["8018"], &["7250"]),
    rule("7252", &["8018"], &[]),
    rule("7253", &["8017", "8018"], &["7256", "7259"]),
    rule("7254", &["8017", "8018"], &["7256", "7259"]),
    rule("7255", &["8017", "8018"], &["7256", "7259"]),
    rule("7256", &["8017", "8018"], &[]),
    rule("7257", &["8018"], &[]),
    rule("7258", &["8018"], &[]),
    rule("7259", &["8018"], &["7256"]),
    rule("8017", &[], &["8018"]),
    rule("8018", &[], &["8017"]),
    rule("8019", &["8017", "8018"], &[]),
    rule("8111", &["255"], &[]),
];

/// Checks the rules of each element.
pub(super) fn check(message: &Message) -> Result<(), Gs1Error> {
    for element in message.elements() {
        let ai = element.ai.as_str();
        for rule in RULES.iter().filter(|rule| ai.starts_with(rule.ai)) {
            let others = || message.elements().iter().filter(|other| other.ai != ai);
            let excluded = others().find(|other| {
                rule.excludes
                    .iter()
                    .any(|beginning| other.ai.starts_with(beginning))
            });
            if let Some(other) = excluded {
                return Err(Gs1Error::Excluded {
                    ai: element.ai.clone(),
                    other: other.ai.clone(),
                });
            }
            let is_served =
                rule.needs.is_empty() || others().any(|o| rule.needs.contains(&o.ai.as_str()));
            if !is_served {
                return Err(Gs1Error::Alone {
                    ai: element.ai.clone(),
                });
            }
        }
    }
    // A birth sequence also needs the baby that it counts (8018+7259).
    if message.get("7258").is_some() && message.get("7259").is_none() {
        return Err(Gs1Error::Alone {
            ai: "7258".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), Gs1Error> {
        Message::from_bracketed(text).unwrap().check_pairs()
    }

    #[test]
    fn what_belongs_to_a_number_stands_beside_it() {
        for text in [
            "(8018)950110153123456781(8019)1",
            "(8019)1(8017)950110153123456781",
            "(255)9501101530003123456(8111)0250",
            "(255)9501101530003123456(3942)0100",
            "(8018)950110153123456781(7259)ANNA(7258)1/2",
        ] {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
        for text in [
            "(8019)1",
            "(8111)0250",
            "(3902)100",
            "(8018)950110153123456781(7258)1/2",
        ] {
            assert!(
                matches!(checked(text), Err(Gs1Error::Alone { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn what_excludes_each_other_is_refused_in_either_order() {
        for text in [
            "(8018)950110153123456781(8017)950110153123456781",
            "(8017)950110153123456781(8018)950110153123456781",
            "(255)9501101530003123456(01)04006381333931",
            "(255)9501101530003123456(3902)100(8111)0250",
            "(255)9501101530003123456(3902)100(3903)100",
        ] {
            assert!(
                matches!(checked(text), Err(Gs1Error::Excluded { .. })),
                "{text}"
            );
        }
    }
}
