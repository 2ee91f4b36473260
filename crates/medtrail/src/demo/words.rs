//! The demo's words: the same in the terminal and in the page.

/// Above everything, always.
pub(crate) const STRIP: &str = "Invented people. Test money. The chain runs on your machine: it shows how checks work; on a \
     public chain they bind the operator.";

/// Beside every key.
pub(crate) const WARNING: &str = "known to all, never send real money";

/// The doors of the home page, and where they lead.
pub(crate) const DOORS: [(&str, &str); 4] = [
    ("I am Mari", "/#/trail"),
    ("I buy data", "/#/market"),
    ("I check", "/verify"),
    ("I run the hospital", "/#/organisations"),
];

/// The button of act 1, and where it is posted.
pub(crate) const LOOK: (&str, &str) = ("A doctor looks now", "/demo/look");

/// The buttons of act 4.
pub(crate) const ANSWER: (&str, &str) = ("The hospital answers", "/demo/answer");
pub(crate) const PROPERLY: (&str, &str) = ("The hospital asks properly", "/demo/ask");

/// An act of the story. One with nothing to press and nowhere to go is not open yet.
pub(crate) struct Act {
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    /// Where in the page it plays: label, and path.
    pub(crate) places: &'static [(&'static str, &'static str)],
    /// Label, and the path that is posted to.
    pub(crate) buttons: &'static [(&'static str, &'static str)],
}

impl Act {
    pub(crate) fn is_open(&self) -> bool {
        !(self.buttons.is_empty() && self.places.is_empty())
    }
}

/// The story.
pub(crate) static ACTS: [Act; 6] = [
    Act {
        title: "Watch",
        text: "A doctor opens Mari’s allergies in the software of the family doctors. Look at her \
               trail while you press.",
        places: &[],
        buttons: &[LOOK],
    },
    Act {
        title: "Cheat",
        text: "As the operator, on a copy: hide the look at 23:47, alter it, invent a visit.",
        places: &[],
        buttons: &[],
    },
    Act {
        title: "Take away",
        text: "Download the trail and the page that checks it; stop the service, and check.",
        places: &[],
        buttons: &[],
    },
    Act {
        title: "Ask, refuse, allow",
        text: "In Mari’s trail, ask why beside the look at 23:47; then the hospital answers. This \
               morning it tried to change her allergies and was refused. Let it ask properly: \
               under “Waiting for you” compare both, and approve or say no.",
        places: &[],
        buttons: &[ANSWER, PROPERLY],
    },
    Act {
        title: "Sell",
        text: "As Mari, offer 90 days of glucose under “Sell”. As Boreal Therapeutics, in another \
               window, pay for it under “Market”. Then Mari says yes under “Waiting for you”: she \
               is paid directly, and needs no coin for that.",
        places: &[("Sell", "#/sell"), ("Market", "#/market")],
        buttons: &[],
    },
    Act {
        title: "All of it in the page",
        text: "By people who are not engineers, on a phone too.",
        places: &[],
        buttons: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Words that stand on no patient’s screen.
    #[test]
    fn a_patient_understands_every_word() {
        let texts = ACTS.iter().flat_map(|act| [act.title, act.text]).chain([STRIP, WARNING]);
        let all = texts.collect::<Vec<_>>().join(" ").to_lowercase();
        for word in [
            "subject",
            "controller",
            "custodian",
            "actor",
            "entry",
            "commitment",
            "roster",
            "checkpoint",
            "anchor",
            "refusal",
            "binding",
            "withheld",
            "merkle",
            "hash",
        ] {
            assert!(!all.contains(word), "{word}");
        }
    }

    #[test]
    fn acts_one_four_and_five_are_open() {
        let open: Vec<bool> = ACTS.iter().map(Act::is_open).collect();
        assert_eq!(open, [true, false, false, true, true, false]);
        let mut buttons = ACTS.iter().flat_map(|act| act.buttons);
        assert!(buttons.all(|(_, path)| path.starts_with("/demo/")));
    }
}
