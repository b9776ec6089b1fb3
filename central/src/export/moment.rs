//! Times as exports print them: RFC 3339 in UTC with milliseconds.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// 0001-01-01T00:00:00.000Z. RFC 3339 knows no earlier year that everybody reads.
const MS_MIN: i64 = -62_135_596_800_000;
/// 9999-12-31T23:59:59.999Z, the last moment of RFC 3339.
const MS_MAX: i64 = 253_402_300_799_999;

/// A moment, in milliseconds since 1970-01-01 UTC. A till's clock may be wild: what lies outside the
/// years 1 to 9999 prints as the nearest of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub i64);

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let moment = DateTime::<Utc>::from_timestamp_millis(self.0.clamp(MS_MIN, MS_MAX));
        // Every moment within these years exists.
        let moment = moment.unwrap_or_default();
        f.write_str(&moment.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Moment {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Moment")
    }
}

/// A time that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no time: write it as 2026-11-22T12:00:00Z (RFC 3339), or as 2026-11-22 for the \
     beginning of that day in UTC"
)]
pub struct MomentError(String);

impl std::str::FromStr for Moment {
    type Err = MomentError;
    fn from_str(text: &str) -> Result<Self, MomentError> {
        if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self(moment.timestamp_millis()));
        }
        let day: Option<chrono::NaiveDate> = text.parse().ok().filter(|_| text.len() == 10);
        let midnight = day.and_then(|day| day.and_hms_opt(0, 0, 0));
        match midnight {
            Some(midnight) => Ok(Self(midnight.and_utc().timestamp_millis())),
            None => Err(MomentError(text.chars().take(40).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_prints_with_milliseconds_in_utc() {
        assert_eq!(Moment(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Moment(1_795_348_800_001).to_string(),
            "2026-11-22T12:00:00.001Z"
        );
    }

    #[test]
    fn a_wild_clock_prints_as_the_nearest_year_that_can_be_read_back() {
        assert_eq!(Moment(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Moment(i64::MIN).to_string(), "0001-01-01T00:00:00.000Z");
        for end in [Moment(MS_MIN), Moment(MS_MAX)] {
            assert_eq!(end.to_string().parse(), Ok(end));
        }
    }

    #[test]
    fn a_time_is_read_with_its_zone_or_as_a_day() {
        assert_eq!("1970-01-01T01:00:00+01:00".parse(), Ok(Moment(0)));
        assert_eq!("1970-01-02".parse(), Ok(Moment(86_400_000)));
        for odd in [
            "",
            "yesterday",
            "2026-11-22 12:00",
            "2026-11-22T12:00:00",
            "2026-1-2",
        ] {
            assert!(odd.parse::<Moment>().is_err(), "{odd}");
        }
    }
}
