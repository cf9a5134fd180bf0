//! The five fields of a cron expression. The library that finds their instants reads more: seconds and years, and
//! signs that other programs read in another way or not at all.

/// One of the five.
struct Field {
    /// What it counts.
    units: &'static str,
    min: u8,
    max: u8,
    /// The names of its values, from `min` on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { units: "minutes", min: 0, max: 59, names: &[] },
    Field { units: "hours", min: 0, max: 23, names: &[] },
    Field { units: "days of the month", min: 1, max: 31, names: &[] },
    Field {
        units: "months",
        min: 1,
        max: 12,
        names: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
    },
    Field {
        units: "days of the week",
        min: 0,
        max: 7,
        // A week begins with its Sunday, and ends with the next.
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"],
    },
];

/// Names that other programs have for expressions, and what they stand for.
const SHORTHANDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Checks that an expression is five fields of values, ranges, steps and lists of these, and nothing else.
///
/// # Errors
/// What it is instead.
pub(super) fn check(expr: &str) -> Result<(), String> {
    let fields: Vec<&str> = expr.split_whitespace().collect();
    if let Some((_, instead)) = SHORTHANDS.iter().find(|(name, _)| fields == [*name]) {
        return Err(format!("here it is written `{instead}`"));
    }
    if fields.len() != FIELDS.len() {
        return Err(format!("it has {} of five fields", fields.len()));
    }
    FIELDS.iter().zip(fields).try_for_each(|(field, text)| field.check(text))
}

impl Field {
    fn check(&self, text: &str) -> Result<(), String> {
        match text.split(',').find(|part| !self.reads(part)) {
            None => Ok(()),
            Some(part) => Err(self.objection(part)),
        }
    }

    /// What is wrong with a part that cannot be read.
    fn objection(&self, part: &str) -> String {
        let Self { units, min, max, .. } = self;
        let (values, step) = part.split_once('/').unwrap_or((part, "1"));
        let range = values.split_once('-');
        let ends = range.and_then(|(from, to)| self.first(from).zip(self.last(to)));
        match (ends, range) {
            (Some((first, last)), Some((from, to))) if first > last => format!(
                "`{part}` runs backwards; write two ranges, `{from}-{max},{min}-{to}`, or `{to}-{from}`"
            ),
            _ if number(step) == Some(0) && (ends.is_some() || values == "*") => {
                format!("`{part}` has a step of 0; a step is at least 1")
            }
            _ => format!("`{part}` is none of the {units}, which are {min} to {max}"),
        }
    }

    /// Whether this is a value, or a range with or without a step.
    fn reads(&self, part: &str) -> bool {
        let (values, step) = match part.split_once('/') {
            Some((values, step)) => (values, Some(step)),
            None => (part, None),
        };
        let is_range = match values.split_once('-') {
            Some((from, to)) => {
                self.first(from).zip(self.last(to)).is_some_and(|(from, to)| from <= to)
            }
            None => values == "*",
        };
        match step {
            None => is_range || self.first(values).is_some(),
            Some(step) => is_range && number(step).is_some_and(|n| (1..=self.max).contains(&n)),
        }
    }

    /// The value that a text names; the first one, if there are two of that name.
    fn first(&self, text: &str) -> Option<u8> {
        let place = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        self.value(text, place)
    }

    /// The value that a text names at the end of a range.
    fn last(&self, text: &str) -> Option<u8> {
        let place = self.names.iter().rposition(|name| name.eq_ignore_ascii_case(text));
        self.value(text, place)
    }

    fn value(&self, text: &str, place: Option<usize>) -> Option<u8> {
        let value = match place {
            Some(place) => u8::try_from(place).ok()?.checked_add(self.min)?,
            None => number(text)?,
        };
        (self.min..=self.max).contains(&value).then_some(value)
    }
}

fn number(text: &str) -> Option<u8> {
    // The parser of numbers reads a sign as well.
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_fields_of_values_ranges_steps_and_lists_are_read() {
        for expr in [
            "* * * * *",
            "0 6 * * MON",
            "  0\t6 * * mon ",
            "*/59 0-23/23 1,15,31 jan-JUN 0",
            "5,10-20/5,*/7 * * 12 7",
            "0 0 * * SAT-SUN",
            "0 0 * * SUN-TUE",
        ] {
            assert_eq!(check(expr), Ok(()), "{expr}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_part_that_is_wrong() {
        for (expr, why) in [
            ("* * * *", "it has 4 of five fields"),
            ("* * * * * *", "it has 6 of five fields"),
            ("@daily", "here it is written `0 0 * * *`"),
            ("@reboot", "it has 1 of five fields"),
            ("0,,1 * * * *", "`` is none of the minutes, which are 0 to 59"),
            ("*/61 * * * *", "`*/61` is none of the minutes"),
            ("*/0 * * * *", "`*/0` has a step of 0; a step is at least 1"),
            ("0-5/0 * * * *", "`0-5/0` has a step of 0"),
            ("*/ * * * *", "`*/` is none of the minutes"),
            ("5/10 * * * *", "`5/10` is none of the minutes"),
            ("+5 * * * *", "`+5` is none of the minutes"),
            ("- * * * *", "`-` is none of the minutes"),
            ("* 24 * * *", "`24` is none of the hours, which are 0 to 23"),
            ("* 20-4 * * *", "`20-4` runs backwards; write two ranges, `20-23,0-4`, or `4-20`"),
            ("* * * * FRI-MON", "`FRI-MON` runs backwards; write two ranges, `FRI-7,0-MON`"),
            ("* 20-40 * * *", "`20-40` is none of the hours"),
            ("0 0 L * *", "`L` is none of the days of the month, which are 1 to 31"),
            ("0 0 1W * *", "`1W` is none of the days of the month"),
            ("0 0 ? * 1", "`?` is none of the days of the month"),
            ("0 0 * 0 *", "`0` is none of the months, which are 1 to 12"),
            ("0 0 * MON *", "`MON` is none of the months"),
            ("0 0 * * 5#2", "`5#2` is none of the days of the week, which are 0 to 7"),
            ("0 0 * * +1", "`+1` is none of the days of the week"),
            ("0 0 * * 1-2-3", "`1-2-3` is none of the days of the week"),
        ] {
            let refused = check(expr).unwrap_err();
            assert!(refused.starts_with(why), "{expr}: {refused}");
        }
    }
}
