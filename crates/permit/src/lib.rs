//! What a person allows: the documents they sign, the words they read in them, and whether an act
//! was permitted.
//!
//! No IO, no async, no clock. Engine, audit and page run the same [`permits::permits`], so that
//! nobody has to believe another's answer; `tests/vectors/permits.json` holds them to it.
//!
//! - [`documents`]: the EIP-712 structs; [`check`]: what makes one valid; [`signed`]: as the log
//!   carries them
//! - [`guardianship_end`]: how an organisation ends a guardianship
//! - [`statements`]: what the person reads, in English and Estonian
//! - [`scopes`], [`resources`], [`purposes`], [`confidentiality`]: the words of a grant
//! - [`permits`]: whether an act counts as permitted, and why
//! - [`papers`], [`consents`]: what that is judged by, out of a trail and out of the chain's records
//! - [`replay`]: every change of a whole log judged again
//! - [`dataset`], [`sale`]: what a sale is about, and what seller and buyer sign in it

pub mod check;
pub mod confidentiality;
pub mod consents;
pub mod dataset;
pub mod documents;
pub mod guardianship_end;
pub mod papers;
pub mod permits;
pub mod purposes;
pub mod replay;
pub mod resources;
pub mod sale;
pub mod scopes;
pub mod signed;
pub mod statements;
