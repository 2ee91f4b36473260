//! Why nothing is delivered, as it is stored and told.

/// Refusals with their numbers and words. A number never changes its meaning.
pub(crate) struct Refusals<R: 'static>(pub(crate) &'static [(u8, R, &'static str)]);

impl<R: Copy + PartialEq> Refusals<R> {
    pub(crate) fn number_of(&self, refusal: R) -> u8 {
        let found = self.0.iter().find(|(_, known, _)| *known == refusal);
        found.map_or(0, |(number, ..)| *number)
    }

    /// Of a newer version: `other`.
    pub(crate) fn word(&self, number: u8) -> &'static str {
        self.find(number).map_or("other", |(.., word)| *word)
    }

    pub(crate) fn refusal_of(&self, number: u8) -> Option<R> {
        self.find(number).map(|(_, refusal, _)| *refusal)
    }

    fn find(&self, number: u8) -> Option<&(u8, R, &'static str)> {
        self.0.iter().find(|(known, ..)| *known == number)
    }
}
