//! Who reports in the demo.

/// An organisation of the demo, as it stands in its events.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Organisation {
    /// As people know it.
    pub(crate) name: &'static str,
    /// First word of its ids and folders.
    pub(crate) slug: &'static str,
    /// Its number in the register of the demo's country.
    pub(crate) number: &'static str,
    /// Internet domain.
    pub(crate) domain: &'static str,
}

/// Mari's family doctors.
pub(crate) static KALDA: Organisation = Organisation {
    name: "Kalda Family Doctors",
    slug: "kalda",
    number: "KALDA-01",
    domain: "kalda.example",
};
/// The hospital.
pub(crate) static HARBOUR: Organisation = Organisation {
    name: "Harbour Hospital",
    slug: "harbour",
    number: "HARBOUR-07",
    domain: "harbour.example",
};
/// The laboratory.
pub(crate) static LUMI: Organisation = Organisation {
    name: "Lumi Laboratory",
    slug: "lumi",
    number: "LUMI-03",
    domain: "lumi.example",
};
/// Who pays.
pub(crate) static INSURANCE: Organisation = Organisation {
    name: "State Health Insurance",
    slug: "insurance",
    number: "SHI-00",
    domain: "insurance.example",
};
/// Who makes the sensor on Mari's arm.
pub(crate) static TIDE: Organisation =
    Organisation { name: "Tide Sensors", slug: "tide", number: "TIDE-22", domain: "tide.example" };

/// Those that run a gateway, and sign with a key of their own.
pub(crate) static SIGNING: [&Organisation; 4] = [&KALDA, &HARBOUR, &LUMI, &INSURANCE];
