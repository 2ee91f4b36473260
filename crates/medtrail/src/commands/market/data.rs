//! Which data a sale is about, as sellers and buyers name them.

use super::amounts;
use crate::exit::Failure;
use clap::ValueEnum;
use medtrail_permit::dataset::{DATASET_BYTES_MAX, Dataset, Form, Layout, Origin, Profile};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Which data, and in what form: from a file, or from its parts.
#[derive(clap::Args)]
pub(in crate::commands) struct Data {
    /// The description of the data (medtrail/dataset-v1); or --scopes, --from and --to
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scopes", "codes", "from", "to", "form", "origin"])]
    dataset: Option<PathBuf>,
    /// Data of which types, as SMART scopes with a blank between: "patient/Observation.rs"
    #[arg(long, value_name = "SCOPES", requires_all = ["from", "to"])]
    scopes: Option<String>,
    /// Only data with one of these codes, as system|code with a comma between
    #[arg(long, value_name = "CODES", value_delimiter = ',', requires = "scopes")]
    codes: Vec<String>,
    /// Data from this day or moment on
    #[arg(long, value_name = "WHEN", value_parser = amounts::moment, requires = "scopes")]
    from: Option<u64>,
    /// Data up to before this day or moment
    #[arg(long, value_name = "WHEN", value_parser = amounts::moment, requires = "scopes")]
    to: Option<u64>,
    /// In what form they are delivered
    #[arg(long, value_enum, default_value_t = FormWord::SafeHarbor)]
    form: FormWord,
    /// Whose word they are
    #[arg(long, value_enum, default_value_t = OriginWord::Signed)]
    origin: OriginWord,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormWord {
    /// The very bytes that are kept, with all that stands in them
    AsItIs,
    /// Without the 18 identifiers of 45 CFR 164.514(b)(2); of dates the year
    SafeHarbor,
    /// The same, but all dates moved by one secret number of days
    ShiftedDates,
}

#[derive(Clone, Copy, ValueEnum)]
enum OriginWord {
    /// Only what an organisation signed
    Signed,
    /// That, and what you added yourself
    SignedAndUploaded,
}

impl Data {
    /// The description; none: no data were named.
    pub(in crate::commands) fn read(self) -> Result<Option<Dataset>, Failure> {
        if let Some(path) = &self.dataset {
            return from_file(path).map(Some);
        }
        let Self { scopes, mut codes, from, to, form, origin, .. } = self;
        let Some(scopes) = scopes else { return Ok(None) };
        let form = match form {
            FormWord::AsItIs => Form::AsItIs,
            FormWord::SafeHarbor => Form::DeIdentified(Profile::SafeHarbor, Layout::Ndjson),
            FormWord::ShiftedDates => Form::DeIdentified(Profile::ShiftedDates, Layout::Ndjson),
        };
        let origin = match origin {
            OriginWord::Signed => Origin::Signed,
            OriginWord::SignedAndUploaded => Origin::SignedAndUploaded,
        };
        // Their one spelling is ascending: not for a person to know.
        codes.sort();
        codes.dedup();
        let (from, to) = (from.unwrap_or(0), to.unwrap_or(0));
        Ok(Some(Dataset::new(&scopes, codes, from, to, form, origin)?))
    }
}

fn from_file(path: &Path) -> Result<Dataset, Failure> {
    let named = |words: String| Failure::new(format!("{}: {words}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(DATASET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| named(error.to_string()))?;
    // An editor's last line end is no part of it.
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Dataset::parse(text).map_err(|error| named(crate::render::harmless(&error.to_string())))
}
