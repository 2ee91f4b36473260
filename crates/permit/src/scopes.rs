//! SMART on FHIR scopes: strict reading, one canonical spelling, and what covers what.
//!
//! A scope means a set of acts on data. `a` covers `b` only where every act that `b` allows is one
//! that `a` allows: a partial order, which tests/properties.rs holds it to.

use crate::confidentiality::{Confidentiality, is_mark};
use crate::resources;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bytes of one scope.
pub const SCOPE_BYTES_MAX: usize = 256;
/// Scopes in a list.
pub const SCOPES_MAX: usize = 32;
/// Bytes of a list of scopes.
pub const SCOPES_BYTES_MAX: usize = 2048;

/// The parameter that names a mark of confidentiality.
pub const SECURITY: &str = "_security";

/// Whose data a scope speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Context {
    /// Of one person: the only one that a person can give.
    Patient,
    /// All that a user may see, whoever it is about.
    User,
    /// All that a system may see.
    System,
}

impl Context {
    fn word(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::User => "user",
            Self::System => "system",
        }
    }
}

/// Which of the five interactions: create, read, update, delete, search.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Interactions(u8);

const LETTERS: [char; 5] = ['c', 'r', 'u', 'd', 's'];

impl Interactions {
    /// None.
    pub const NONE: Self = Self(0);
    /// Make something new.
    pub const CREATE: Self = Self(1);
    /// Read one thing.
    pub const READ: Self = Self(2);
    /// Change something.
    pub const UPDATE: Self = Self(4);
    /// Delete something.
    pub const DELETE: Self = Self(8);
    /// Look for things.
    pub const SEARCH: Self = Self(16);

    /// These and those.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their letters, in the order c r u d s.
    pub fn letters(self) -> impl Iterator<Item = char> {
        let all = LETTERS.iter().enumerate();
        all.filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, letter)| *letter)
    }

    /// One by one, in the order c r u d s.
    pub fn each(self) -> impl Iterator<Item = Self> {
        (0..LETTERS.len()).map(|bit| Self(1 << bit)).filter(move |one| self.contains(*one))
    }

    fn parse(letters: &str) -> Result<Self, ScopeRule> {
        // Version 1; its `write` never meant to look.
        match letters {
            "read" => return Ok(Self::READ.and(Self::SEARCH)),
            "write" => return Ok(Self::CREATE.and(Self::UPDATE).and(Self::DELETE)),
            "*" => return Ok(Self(31)),
            _ => {}
        }
        let mut found = Self::NONE;
        let mut next = 0;
        for letter in letters.chars() {
            let place = LETTERS[next..].iter().position(|known| *known == letter);
            let place = next + place.ok_or(ScopeRule::Interactions)?;
            found = found.and(Self(1 << place));
            next = place + 1;
        }
        if found.is_empty() { Err(ScopeRule::Interactions) } else { Ok(found) }
    }
}

/// A restriction to data for which a search parameter has a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// The search parameter.
    pub name: String,
    /// Its value: `system|code`, or a code of any system.
    pub value: String,
}

impl Parameter {
    /// Whether data that fit `other` fit this too.
    fn covers(&self, other: &Self) -> bool {
        let is_same = self.value == other.value;
        self.name == other.name
            && match self.name.as_str() {
                // Who may see what is very restricted may see what is restricted.
                SECURITY => is_same || (self.value == "V" && other.value == "R"),
                _ => is_same || code_of_any_system(&self.value, &other.value),
            }
    }
}

/// FHIR's token search: a code without a system fits that code of any system.
fn code_of_any_system(code: &str, token: &str) -> bool {
    !code.contains('|') && token.split_once('|').is_some_and(|(_, other)| other == code)
}

/// One scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// Whose data.
    pub context: Context,
    /// A resource type of FHIR R4; none: all.
    pub resource: Option<&'static str>,
    /// What may be done.
    pub interactions: Interactions,
    /// Only to data for which this holds.
    pub parameter: Option<Parameter>,
}

/// What is known of data that were used: the part of a [`Need`](crate::permits::Need) that scopes
/// decide.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Data {
    /// Resource type. None, or one that FHIR R4 does not have: only a scope for all types covers.
    pub resource: Option<String>,
    /// Level; none told is normal.
    pub confidentiality: Option<Confidentiality>,
    /// Codes of sensitive topics (v3-ActCode).
    pub topics: Vec<String>,
    /// Search parameters that these data are known to fit, as `name=value`.
    pub parameters: Vec<String>,
}

impl Data {
    /// Whether a permission must name a mark before it covers these.
    pub fn is_marked(&self) -> bool {
        self.level().must_be_named() || !self.topics.is_empty()
    }

    fn level(&self) -> Confidentiality {
        self.confidentiality.unwrap_or(Confidentiality::N)
    }
}

impl Scope {
    /// The type that it names; none: every type.
    pub fn resource(&self) -> Option<&'static str> {
        self.resource
    }

    /// Whether all that `other` allows is allowed by this.
    pub fn covers(&self, other: &Self) -> bool {
        self.context == other.context
            && (self.resource.is_none() || self.resource == other.resource)
            && self.interactions.contains(other.interactions)
            && match (&self.parameter, &other.parameter) {
                (None, None) => true,
                // A scope without a mark ends where the marks begin.
                (None, Some(narrower)) => narrower.name != SECURITY,
                (Some(_), None) => false,
                (Some(wider), Some(narrower)) => wider.covers(narrower),
            }
    }

    /// Whether it allows this to be done with these data.
    pub fn allows(&self, interaction: Interactions, data: &Data) -> bool {
        self.interactions.contains(interaction) && self.is_about(data) && self.fits(data)
    }

    /// Whether the data are of its type.
    pub fn is_about(&self, data: &Data) -> bool {
        self.resource.is_none() || self.resource == data.resource.as_deref()
    }

    fn fits(&self, data: &Data) -> bool {
        use Confidentiality::{R, V};
        let Some(parameter) = &self.parameter else { return !data.is_marked() };
        if parameter.name != SECURITY {
            let mut facts = data.parameters.iter().filter_map(|fact| fact.split_once('='));
            let is_known = facts.any(|(name, value)| {
                let fact = Parameter { name: name.to_owned(), value: value.to_owned() };
                parameter.covers(&fact)
            });
            return is_known && !data.is_marked();
        }
        match parameter.value.as_str() {
            "V" => data.level() >= R,
            "R" => data.level() == R,
            // A topic does not open what is very restricted.
            topic => data.level() < V && data.topics.iter().any(|other| other == topic),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters: String = self.interactions.letters().collect();
        write!(f, "{}/{}.{letters}", self.context.word(), self.resource.unwrap_or("*"))?;
        match &self.parameter {
            Some(Parameter { name, value }) => write!(f, "?{name}={value}"),
            None => Ok(()),
        }
    }
}

/// The rule that a scope breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeRule {
    /// The text before `/`.
    #[error("it must begin with patient/, user/ or system/")]
    Context,
    /// The text between `/` and `.`.
    #[error("between / and . must stand a resource type of FHIR R4, or *")]
    Resource,
    /// The text after `.`.
    #[error("after . must stand some of c r u d s in this order, or read, write or * of version 1")]
    Interactions,
    /// A restriction that is no `name=value` of plain letters, or has modifiers.
    #[error("after ? must stand one search parameter, = and its value, without modifiers")]
    Parameter,
    /// A second restriction.
    #[error("it may have one search parameter only")]
    SecondParameter,
    /// Letters that would have a meaning of their own in a value.
    #[error("its value may have printable ASCII only, without blanks and \" % & * , ? \\ ` < >")]
    Value,
    /// `_security` of something else than a mark.
    #[error(
        "_security must be R, V or a topic that must be named (v3-ActCode), without its system"
    )]
    Mark,
    /// Version 1 has no restrictions.
    #[error("read, write and * of version 1 go without search parameters")]
    OldWithParameter,
    /// Longer than is read.
    #[error("it is longer than {SCOPE_BYTES_MAX} bytes")]
    Bytes,
}

/// A scope that is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("scope {scope:?}: {rule}")]
pub struct ScopeError {
    /// What was to be read, cut.
    pub scope: String,
    /// What is wrong with it.
    pub rule: ScopeRule,
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        parse(text).map_err(|rule| ScopeError { scope: text.chars().take(80).collect(), rule })
    }
}

fn parse(text: &str) -> Result<Scope, ScopeRule> {
    if text.len() > SCOPE_BYTES_MAX {
        return Err(ScopeRule::Bytes);
    }
    let (context, rest) = text.split_once('/').ok_or(ScopeRule::Context)?;
    let contexts = [Context::Patient, Context::User, Context::System];
    let context = contexts.into_iter().find(|known| known.word() == context);
    let context = context.ok_or(ScopeRule::Context)?;
    let (resource, rest) = rest.split_once('.').ok_or(ScopeRule::Resource)?;
    let resource = match resource {
        "*" => None,
        name => Some(resources::known(name).ok_or(ScopeRule::Resource)?),
    };
    let (letters, parameter) = match rest.split_once('?') {
        Some((letters, parameter)) => (letters, Some(parameter)),
        None => (rest, None),
    };
    let interactions = Interactions::parse(letters)?;
    if parameter.is_some() && matches!(letters, "read" | "write" | "*") {
        return Err(ScopeRule::OldWithParameter);
    }
    let parameter = parameter.map(parse_parameter).transpose()?;
    Ok(Scope { context, resource, interactions, parameter })
}

fn parse_parameter(text: &str) -> Result<Parameter, ScopeRule> {
    if text.contains('&') {
        return Err(ScopeRule::SecondParameter);
    }
    let (name, value) = text.split_once('=').ok_or(ScopeRule::Parameter)?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || value.is_empty() || !name.bytes().all(is_letter) {
        return Err(ScopeRule::Parameter);
    }
    // An escape or a list would be a second spelling of another scope; the rest is not to stand in
    // what a wallet shows.
    if !value.bytes().all(|byte| byte.is_ascii_graphic() && !br#""%&*,?\`<>"#.contains(&byte)) {
        return Err(ScopeRule::Value);
    }
    if name == SECURITY && !is_mark(value) {
        return Err(ScopeRule::Mark);
    }
    Ok(Parameter { name: name.to_owned(), value: value.to_owned() })
}

/// What is wrong with a list of scopes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScopesError {
    /// No scope at all.
    #[error("scopes is empty")]
    Empty,
    /// Longer than is read.
    #[error("scopes has {0} bytes, at most {SCOPES_BYTES_MAX} are taken")]
    Bytes(usize),
    /// More scopes than are read.
    #[error("{0} scopes, at most {SCOPES_MAX} are taken")]
    Count(usize),
    /// One that is none.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// One that allows nothing that another of the list does not.
    #[error("scope {0:?} is within another of the list")]
    Within(String),
}

/// Reads scopes with one blank between them. One that another covers is refused: a person would
/// read twice what is allowed once.
pub fn parse_list(text: &str) -> Result<Vec<Scope>, ScopesError> {
    if text.is_empty() {
        return Err(ScopesError::Empty);
    }
    if text.len() > SCOPES_BYTES_MAX {
        return Err(ScopesError::Bytes(text.len()));
    }
    let count = text.split(' ').count();
    if count > SCOPES_MAX {
        return Err(ScopesError::Count(count));
    }
    let scopes = text.split(' ').map(Scope::from_str).collect::<Result<Vec<_>, _>>()?;
    for (place, scope) in scopes.iter().enumerate() {
        let mut others = scopes.iter().enumerate().filter(|(other, _)| *other != place);
        if others.any(|(_, other)| other.covers(scope)) {
            return Err(ScopesError::Within(scope.to_string()));
        }
    }
    Ok(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> ScopeRule {
        text.parse::<Scope>().unwrap_err().rule
    }

    #[test]
    fn version_1_means_what_version_2_spells_out() {
        for (old, new) in [
            ("patient/*.read", "patient/*.rs"),
            ("user/Observation.write", "user/Observation.cud"),
            ("system/*.*", "system/*.cruds"),
        ] {
            assert_eq!(old.parse::<Scope>().unwrap().to_string(), new);
        }
    }

    #[test]
    fn a_scope_that_is_none_says_which_rule_it_breaks() {
        use ScopeRule::{
            Bytes, Context, Interactions, Mark, OldWithParameter, Parameter, Resource,
            SecondParameter, Value,
        };
        let long = format!("patient/Observation.r?code={}", "x".repeat(SCOPE_BYTES_MAX));
        for (text, broken) in [
            ("", Context),
            ("patient", Context),
            ("Patient/*.r", Context),
            (" patient/*.r", Context),
            ("launch/patient", Context),
            ("patient/Observation", Resource),
            ("patient/observation.r", Resource),
            ("patient/.r", Resource),
            ("patient/Diary.r", Resource),
            ("patient/*.", Interactions),
            ("patient/*.sr", Interactions),
            ("patient/*.rr", Interactions),
            ("patient/*.R", Interactions),
            ("patient/*.x", Interactions),
            ("patient/*.rs ", Interactions),
            ("patient/*.r?", Parameter),
            ("patient/*.r?code", Parameter),
            ("patient/*.r?=x", Parameter),
            ("patient/*.r?code=", Parameter),
            ("patient/*.r?code:in=x", Parameter),
            ("patient/*.r?code=x&code=y", SecondParameter),
            ("patient/*.r?code=x,y", Value),
            ("patient/*.r?code=x%20y", Value),
            ("patient/*.r?code=\u{f5}", Value),
            ("patient/*.r?_security=N", Mark),
            ("patient/*.r?_security=psy", Mark),
            ("patient/*.read?code=x", OldWithParameter),
            (&long, Bytes),
        ] {
            assert_eq!(rule(text), broken, "{text}");
        }
        let error = "patient/*.sr".parse::<Scope>().unwrap_err().to_string();
        assert!(error.starts_with("scope \"patient/*.sr\": after . must stand"), "{error}");
    }

    #[test]
    fn a_list_allows_nothing_twice() {
        assert_eq!(parse_list("patient/Observation.r patient/Condition.r").unwrap().len(), 2);
        assert_eq!(parse_list(""), Err(ScopesError::Empty));
        let within = |text: &str| {
            let refused = parse_list(text);
            assert!(matches!(refused, Err(ScopesError::Within(_))), "{text}: {refused:?}");
        };
        within("patient/*.rs patient/Observation.r");
        within("patient/*.r patient/*.r");
        within("patient/*.rs patient/*.read");
        within("patient/*.r patient/*.r?code=x");
        parse_list("patient/*.r patient/*.r?_security=R").unwrap();
        for broken in ["patient/*.r  patient/*.c", " patient/*.r", "patient/*.r\tpatient/*.c"] {
            assert!(matches!(parse_list(broken), Err(ScopesError::Scope(_))), "{broken:?}");
        }
        let types = resources::types().filter(|name| name.len() < 40).take(33);
        let many: Vec<String> = types.map(|name| format!("patient/{name}.r")).collect();
        assert_eq!(parse_list(&many.join(" ")), Err(ScopesError::Count(33)));
        assert_eq!(parse_list(&"x".repeat(2049)), Err(ScopesError::Bytes(2049)));
    }
}
