//! The membership number that a transaction names.
//!
//! Four places are known; the first that names a card wins, in this order: `LoyaltyAccountID`
//! (ARTS' own place), NCR's `MembershipID` and, where that is empty, `LoyaltyID` (what was keyed or
//! scanned: it may be another of the member's numbers), `Customer/CustomerID` (may be an account
//! that is no membership), a number inside `LoyaltyReward`. A line that was voided names nobody.

use super::element::Element;

/// Shorter `LoyaltyAccountID`s name a programme, not a card (R10 writes 1, 4, 8 and 10).
const CARD_CHARS_MIN: usize = 5;

/// Returns the card that `retail` names, as it stands there.
pub(super) fn card(retail: &Element) -> Option<String> {
    let lines = || {
        retail
            .all("LineItem")
            .filter(|line| !line.flag("VoidFlag") && !line.flag("CancelFlag"))
    };
    let in_customers = || retail.all("Customer");
    let accounts = retail
        .all("LoyaltyAccount")
        .chain(lines().flat_map(|line| line.all("LoyaltyAccount")))
        .chain(in_customers().flat_map(|customer| customer.all("LoyaltyAccount")))
        .flat_map(|account| account.descendants("LoyaltyAccountID"))
        .filter(|id| !is_programme(id.text()));
    let memberships = || {
        retail
            .all("LoyaltyMembership")
            .chain(lines().flat_map(|line| line.all("LoyaltyMembership")))
    };
    let customers = in_customers()
        .chain(lines().flat_map(|line| line.all("Customer")))
        .chain(retail.all("LoyaltyAccount"))
        .flat_map(|customer| customer.all("CustomerID"));
    let rewards = || lines().flat_map(|line| line.all("LoyaltyReward"));
    accounts
        .chain(memberships().flat_map(|m| m.all("MembershipID")))
        .chain(memberships().flat_map(|m| m.all("LoyaltyID")))
        .chain(customers)
        .chain(rewards().flat_map(|reward| reward.descendants("MembershipID")))
        .chain(rewards().flat_map(|reward| reward.descendants("LoyaltyID")))
        .chain(
            rewards()
                .flat_map(|reward| reward.descendants("LoyaltyAccountID"))
                .filter(|id| !is_programme(id.text())),
        )
        .map(Element::text)
        .find(|text| text.chars().any(|c| c != '0'))
        .map(str::to_owned)
}

/// Returns whether a `LoyaltyAccountID` names a programme: too short, or a name without a digit.
fn is_programme(id: &str) -> bool {
    id.chars().count() < CARD_CHARS_MIN || !id.chars().any(|c| c.is_ascii_digit())
}
