//! EAN and UPC numbers: the check digit, and the ranges kept for a retailer's own use.

/// Says whether the last of `digits` (ASCII) is the GS1 mod-10 check digit of those before it.
///
/// The same rule serves EAN-8, UPC-A, EAN-13, GTIN-14, SSCC and GSRN: weights 3 and 1 by turns,
/// counted from the right (GS1 General Specifications, section 7.9). False for anything but digits
/// and for fewer than two of them.
pub fn check_digit_holds(digits: &str) -> bool {
    if digits.len() < 2 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(digit - b'0') * if place % 2 == 0 { 1 } else { 3 })
        .sum();
    sum.is_multiple_of(10)
}

/// Says whether `digits` is an EAN-13 whose check digit holds.
pub fn is_ean_13(digits: &str) -> bool {
    digits.len() == 13 && check_digit_holds(digits)
}

/// Says whether a number starts in a range of restricted distribution: 02, 04, 20 to 29.
///
/// A retailer fills these ranges as it likes. Member cards share them with weighed goods and
/// coupons, so the range alone makes no member card: a configured prefix has to say so.
pub fn is_restricted(digits: &str) -> bool {
    matches!(
        digits.as_bytes(),
        [b'0', b'2' | b'4', ..] | [b'2', b'0'..=b'9', ..]
    )
}

/// Says whether a number of 13 digits starts as a coupon's: 05 (UPC coupons), 98 and 99.
pub fn is_coupon(digits: &str) -> bool {
    digits.len() == 13 && matches!(digits.get(..2), Some("05" | "98" | "99"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_is_weighed_from_the_right_whatever_the_length() {
        for valid in [
            "4006381333931",
            "036000291452",
            "96385074",
            "950110153123456781",
        ] {
            assert!(check_digit_holds(valid), "{valid}");
        }
        for invalid in [
            "4006381333932",
            "313131313131313139",
            "7",
            "",
            "40063813339x1",
        ] {
            assert!(!check_digit_holds(invalid), "{invalid}");
        }
    }

    #[test]
    fn coupons_are_05_98_and_99() {
        for coupon in ["0512345678900", "9812345678909", "9912345678908"] {
            assert!(is_coupon(coupon), "{coupon}");
        }
        for other in ["9712345678900", "051234567890", "4006381333931", ""] {
            assert!(!is_coupon(other), "{other}");
        }
    }

    #[test]
    fn restricted_ranges_are_02_04_and_the_twenties() {
        for inside in [
            "0200000000000",
            "0412345678903",
            "2000000000008",
            "2912345678901",
        ] {
            assert!(is_restricted(inside), "{inside}");
        }
        for outside in ["0312345678900", "3000000000007", "1234567890128", "", "2"] {
            assert!(!is_restricted(outside), "{outside}");
        }
    }
}
