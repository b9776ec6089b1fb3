//! The GS1 application identifiers and the shape of their values.
//!
//! Facts from the GS1 General Specifications, section 3.2, and figure 7.8.5-2 for the identifiers
//! whose length is fixed by their first two digits. What the values mean (dates, currencies) is
//! left out: it is enough to walk a string and to trust its check digits.

use super::coupon;
use crate::code::ean;

/// An application identifier's value: how long, of which characters, with which check digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    first: u16,
    last: u16,
    ai_digits: u8,
    digits: u8,
    min: u8,
    max: u8,
    /// The greatest last digit that the identifier may have: 5 where it tells a measure's decimals.
    last_digit_max: u8,
    check: Check,
    /// May stand in the query of a GS1 Digital Link.
    is_attribute: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Absent,
    /// The check digit ends `len` digits that start at `from`.
    Mod10 {
        from: u8,
        len: u8,
    },
    /// The digits are laid out as a coupon's.
    Coupon(coupon::Layout),
}

const fn row(ais: (u16, u16), ai_digits: u8, digits: u8, min: u8, max: u8) -> Shape {
    Shape {
        first: ais.0,
        last: ais.1,
        ai_digits,
        digits,
        min,
        max,
        last_digit_max: 9,
        check: Check::Absent,
        is_attribute: true,
    }
}

/// Digits only, `min` to `max` of them.
const fn n(ais: (u16, u16), ai_digits: u8, min: u8, max: u8) -> Shape {
    row(ais, ai_digits, max, min, max)
}

/// Any characters, 1 to `max` of them.
const fn x(ais: (u16, u16), ai_digits: u8, max: u8) -> Shape {
    row(ais, ai_digits, 0, 1, max)
}

/// The same shape with a check digit at the end of `len` digits from `from`.
const fn checked(shape: Shape, from: u8, len: u8) -> Shape {
    Shape {
        check: Check::Mod10 { from, len },
        ..shape
    }
}

/// Measures of trade: six digits; the identifier's last digit tells the decimals, 0 to 5.
const fn measures(first: u16, last: u16) -> Shape {
    Shape {
        last_digit_max: 5,
        ..n((first * 10, last * 10 + 5), 4, 6, 6)
    }
}

/// A coupon of AI 8110 or 8112, whose digits have an inner layout.
const fn coupon(ai: u16, layout: coupon::Layout) -> Shape {
    Shape {
        check: Check::Coupon(layout),
        ..x((ai, ai), 4, 70)
    }
}

/// The same shape, but not allowed in the query of a GS1 Digital Link.
const fn path_only(shape: Shape) -> Shape {
    Shape {
        is_attribute: false,
        ..shape
    }
}

const SHAPES: &[Shape] = &[
    checked(n((0, 0), 2, 18, 18), 0, 18),
    checked(n((1, 2), 2, 14, 14), 0, 14),
    path_only(checked(n((3, 3), 2, 14, 14), 0, 14)),
    x((10, 10), 2, 20),
    n((11, 13), 2, 6, 6),
    n((15, 17), 2, 6, 6),
    n((20, 20), 2, 2, 2),
    path_only(x((21, 22), 2, 20)),
    path_only(x((235, 235), 3, 28)),
    x((240, 241), 3, 30),
    n((242, 242), 3, 1, 6),
    x((243, 243), 3, 20),
    x((250, 251), 3, 30),
    checked(row((253, 253), 3, 13, 13, 30), 0, 13),
    path_only(x((254, 254), 3, 20)),
    checked(n((255, 255), 3, 13, 25), 0, 13),
    n((30, 30), 2, 1, 8),
    measures(310, 316),
    measures(320, 329),
    measures(330, 337),
    measures(340, 349),
    measures(350, 357),
    measures(360, 369),
    n((37, 37), 2, 1, 8),
    n((3900, 3909), 4, 1, 15),
    n((3910, 3919), 4, 4, 18),
    n((3920, 3929), 4, 1, 15),
    n((3930, 3939), 4, 4, 18),
    n((3940, 3943), 4, 4, 4),
    n((3950, 3955), 4, 6, 6),
    x((400, 401), 3, 30),
    checked(n((402, 402), 3, 17, 17), 0, 17),
    x((403, 403), 3, 30),
    checked(n((410, 417), 3, 13, 13), 0, 13),
    x((420, 420), 3, 20),
    row((421, 421), 3, 3, 4, 12),
    n((422, 422), 3, 3, 3),
    n((423, 423), 3, 3, 15),
    n((424, 424), 3, 3, 3),
    n((425, 425), 3, 3, 15),
    n((426, 426), 3, 3, 3),
    x((427, 427), 3, 3),
    x((4300, 4301), 4, 35),
    x((4302, 4306), 4, 70),
    row((4307, 4307), 4, 0, 2, 2),
    x((4308, 4308), 4, 30),
    n((4309, 4309), 4, 20, 20),
    x((4310, 4311), 4, 35),
    x((4312, 4316), 4, 70),
    row((4317, 4317), 4, 0, 2, 2),
    x((4318, 4318), 4, 20),
    x((4319, 4319), 4, 30),
    x((4320, 4320), 4, 35),
    n((4321, 4323), 4, 1, 1),
    n((4324, 4325), 4, 10, 10),
    n((4326, 4326), 4, 6, 6),
    row((4330, 4333), 4, 6, 6, 7),
    n((7001, 7001), 4, 13, 13),
    x((7002, 7002), 4, 30),
    n((7003, 7003), 4, 10, 10),
    n((7004, 7004), 4, 1, 4),
    x((7005, 7005), 4, 12),
    n((7006, 7006), 4, 6, 6),
    n((7007, 7007), 4, 6, 12),
    x((7008, 7008), 4, 3),
    x((7009, 7009), 4, 10),
    x((7010, 7010), 4, 2),
    n((7011, 7011), 4, 6, 10),
    x((7020, 7022), 4, 20),
    x((7023, 7023), 4, 30),
    row((7030, 7039), 4, 3, 4, 30),
    path_only(row((7040, 7040), 4, 1, 4, 4)),
    path_only(x((7041, 7041), 4, 4)),
    x((710, 717), 3, 20),
    row((7230, 7239), 4, 0, 3, 30),
    x((7240, 7240), 4, 20),
    n((7241, 7241), 4, 2, 2),
    x((7242, 7242), 4, 25),
    n((7250, 7250), 4, 8, 8),
    n((7251, 7251), 4, 12, 12),
    n((7252, 7252), 4, 1, 1),
    x((7253, 7254), 4, 40),
    x((7255, 7255), 4, 10),
    x((7256, 7256), 4, 90),
    x((7257, 7257), 4, 70),
    row((7258, 7258), 4, 0, 3, 3),
    x((7259, 7259), 4, 40),
    n((8001, 8001), 4, 14, 14),
    x((8002, 8002), 4, 20),
    checked(row((8003, 8003), 4, 14, 14, 30), 1, 13),
    x((8004, 8004), 4, 30),
    n((8005, 8005), 4, 6, 6),
    checked(n((8006, 8006), 4, 18, 18), 0, 14),
    x((8007, 8007), 4, 34),
    n((8008, 8008), 4, 8, 12),
    x((8009, 8009), 4, 50),
    x((8010, 8010), 4, 30),
    path_only(n((8011, 8011), 4, 1, 12)),
    x((8012, 8012), 4, 20),
    x((8013, 8013), 4, 25),
    path_only(x((8014, 8014), 4, 25)),
    checked(n((8017, 8018), 4, 18, 18), 0, 18),
    path_only(n((8019, 8019), 4, 1, 10)),
    path_only(x((8020, 8020), 4, 25)),
    checked(n((8026, 8026), 4, 18, 18), 0, 14),
    x((8030, 8030), 4, 90),
    path_only(n((8040, 8041), 4, 15, 15)),
    path_only(n((8042, 8042), 4, 32, 32)),
    path_only(n((8043, 8043), 4, 18, 20)),
    coupon(8110, coupon::Layout::CouponCode),
    n((8111, 8111), 4, 4, 4),
    coupon(8112, coupon::Layout::PositiveOffer),
    path_only(x((8200, 8200), 4, 70)),
    x((90, 90), 2, 30),
    x((91, 99), 2, 90),
];

impl Shape {
    /// Finds the identifier that `text` starts with; returns it and the shape of its value.
    ///
    /// No identifier is the beginning of another, so the first that fits is the one.
    pub fn at_start_of(text: &str) -> Option<(&str, &'static Self)> {
        (2..=4u8).find_map(|ai_digits| {
            let ai = text.get(..usize::from(ai_digits))?;
            if !ai.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let number: u16 = ai.parse().ok()?;
            SHAPES
                .iter()
                .find(|shape| shape.ai_digits == ai_digits && shape.names(number))
                .map(|shape| (ai, shape))
        })
    }

    /// Says whether the identifier `number` has this shape.
    fn names(&self, number: u16) -> bool {
        (self.first..=self.last).contains(&number) && number % 10 <= u16::from(self.last_digit_max)
    }

    /// Says whether the identifier may stand in the query of a GS1 Digital Link.
    pub fn is_attribute(&self) -> bool {
        self.is_attribute
    }

    /// Returns the least and the greatest length of a value, in characters.
    pub fn lengths(&self) -> (usize, usize) {
        (usize::from(self.min), usize::from(self.max))
    }

    /// Says whether the value ends by its length alone, with no FNC1 behind it.
    pub fn is_predefined(&self) -> bool {
        let first_two = match self.ai_digits {
            2 => self.first,
            3 => self.first / 10,
            _ => self.first / 100,
        };
        matches!(first_two, 0..=4 | 11..=20 | 31..=36 | 41)
    }

    /// Says whether `value` has the length, the characters and, of a coupon, the inner layout that the
    /// identifier asks for.
    pub fn fits(&self, value: &str) -> bool {
        let (min, max) = self.lengths();
        (min..=max).contains(&value.len())
            && value.bytes().all(in_set_82)
            && value
                .bytes()
                .take(usize::from(self.digits))
                .all(|b| b.is_ascii_digit())
            && match self.check {
                Check::Coupon(layout) => layout.holds(value),
                Check::Absent | Check::Mod10 { .. } => true,
            }
    }

    /// Says whether the check digit of `value` holds; true where the identifier has none.
    pub fn check_holds(&self, value: &str) -> bool {
        match self.check {
            Check::Absent | Check::Coupon(_) => true,
            Check::Mod10 { from, len } => {
                let from = usize::from(from);
                value
                    .get(from..from + usize::from(len))
                    .is_some_and(ean::check_digit_holds)
            }
        }
    }
}

/// GS1 character set 82: what an alphanumeric value may hold.
fn in_set_82(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_identifier_is_the_beginning_of_another() {
        for outer in SHAPES {
            for inner in SHAPES {
                if outer.ai_digits >= inner.ai_digits {
                    continue;
                }
                let scale = 10u16.pow(u32::from(inner.ai_digits - outer.ai_digits));
                let beginnings = inner.first / scale..=inner.last / scale;
                assert!(
                    beginnings.end() < &outer.first || beginnings.start() > &outer.last,
                    "{outer:?} begins {inner:?}"
                );
            }
        }
    }

    #[test]
    fn the_first_two_digits_decide_whether_a_value_needs_a_separator() {
        for (text, predefined) in [
            ("00", true),
            ("17", true),
            ("3103", true),
            ("414", true),
            ("8018", false),
            ("10", false),
        ] {
            assert_eq!(
                Shape::at_start_of(text).unwrap().1.is_predefined(),
                predefined,
                "{text}"
            );
        }
        assert!(Shape::at_start_of("88").is_none());
        assert!(Shape::at_start_of("8").is_none());
        assert!(Shape::at_start_of("８018").is_none());
    }
}
