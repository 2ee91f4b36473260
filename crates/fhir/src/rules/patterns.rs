//! The patterns of BALP 1.1 as a table.
//!
//! Source: profiles.ihe.net/ITI/BALP, the StructureDefinitions `IHE.BasicAudit.*`.

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ROLE_CLASS: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleClass";
const SNOMED: &str = "http://snomed.info/sct";
const SECURITY_ROLE: &str = "http://terminology.hl7.org/CodeSystem/extra-security-role-type";
const PROVENANCE_ROLE: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const USER_AGENT: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes";
pub(super) const REST_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
const AUTHZ_SUBTYPE: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType";
pub(super) const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";

/// SNOMED CT "Patient Advocate": in disclosures, who authorised it.
pub(crate) const PATIENT_ADVOCATE: &str = "429577009";

/// A code system, and codes of it.
pub(super) type Codes = (&'static str, &'static [&'static str]);

/// An agent that a pattern asks for.
pub(super) struct Role {
    pub(super) name: &'static str,
    pub(super) codes: Codes,
    pub(super) is_required: bool,
    /// Elements that must be there, and that must not.
    pub(super) needs: &'static [&'static str],
    pub(super) bans: &'static [&'static str],
    pub(super) requestor: Option<bool>,
}

const MACHINE: Role = Role {
    name: "",
    codes: ("", &[]),
    is_required: true,
    needs: &["who", "network"],
    bans: &["media"],
    requestor: None,
};
const PERSON: Role = Role {
    is_required: false,
    needs: &["who"],
    bans: &["media", "network"],
    requestor: Some(true),
    ..MACHINE
};

const fn client(codes: Codes) -> Role {
    Role { name: "client", codes, ..MACHINE }
}
const fn server(codes: Codes) -> Role {
    Role { name: "server", codes, ..MACHINE }
}
const fn user(codes: Codes) -> Role {
    Role { name: "user", codes, ..PERSON }
}

const SOURCE_ROLE: Codes = (DCM, &["110153"]);
const DESTINATION_ROLE: Codes = (DCM, &["110152"]);
const APPLICATION: Codes = (DCM, &["110150"]);
const READER: Codes = (PARTICIPATION, &["IRCP"]);
const WRITER: Codes = (PARTICIPATION, &["AUT", "INF", "CST"]);

/// What a pattern asks of its data entity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Record,
    Query,
    Consent,
    Any,
}

/// One pattern.
pub(super) struct Pattern {
    pub(super) id: &'static str,
    /// None: a token pattern, which goes with any type.
    pub(super) kind: Option<(&'static str, &'static str)>,
    pub(super) subtypes: Codes,
    pub(super) action: Option<&'static str>,
    /// Success is part of the pattern.
    pub(super) succeeds: bool,
    pub(super) roles: &'static [Role],
    pub(super) data: Data,
    pub(super) patient: PatientRule,
}

/// Whether a pattern is about a patient.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PatientRule {
    /// There is a second profile with one: `Patient<id>`.
    Variant,
    Always,
    Never,
}

const fn rest(
    id: &'static str,
    interactions: &'static [&'static str],
    action: &'static str,
    roles: &'static [Role],
) -> Pattern {
    Pattern {
        id,
        kind: Some((REST_TYPE, "rest")),
        subtypes: (INTERACTION, interactions),
        action: Some(action),
        succeeds: true,
        roles,
        data: Data::Record,
        patient: PatientRule::Variant,
    }
}

const fn disclosure(
    id: &'static str,
    kind: &'static str,
    action: &'static str,
    roles: &'static [Role],
) -> Pattern {
    Pattern {
        id,
        kind: Some((DCM, kind)),
        subtypes: (LIFECYCLE, &["disclose"]),
        action: Some(action),
        succeeds: false,
        roles,
        data: Data::Any,
        patient: PatientRule::Always,
    }
}

const fn token(id: &'static str, roles: &'static [Role]) -> Pattern {
    Pattern {
        id,
        kind: None,
        subtypes: ("", &[]),
        action: None,
        succeeds: false,
        roles,
        data: Data::Any,
        patient: PatientRule::Never,
    }
}

const WRITES: &[Role] = &[client(SOURCE_ROLE), server(DESTINATION_ROLE), user(WRITER)];
const DISCLOSES: &[Role] = &[
    Role { name: "source", codes: SOURCE_ROLE, bans: &[], ..MACHINE },
    Role { name: "recipient", codes: DESTINATION_ROLE, bans: &[], ..MACHINE },
    Role {
        name: "custodian",
        codes: (SNOMED, &["159541003"]),
        bans: &[],
        requestor: None,
        ..PERSON
    },
    Role {
        name: "authorizer",
        codes: (SNOMED, &[PATIENT_ADVOCATE]),
        bans: &[],
        requestor: None,
        ..PERSON
    },
];
const OAUTH: Role =
    Role { name: "user", codes: (USER_AGENT, &["UserOauthAgent"]), is_required: true, ..PERSON };
const SAML: Role = Role {
    name: "user",
    codes: (USER_AGENT, &["UserSamlAgent"]),
    is_required: true,
    needs: &["who.identifier.value", "policy"],
    bans: &["altId", "media", "network"],
    ..PERSON
};
const ORGANISATION: Codes = (ROLE_CLASS, &["PROV"]);

pub(super) static PATTERNS: &[Pattern] = &[
    rest(
        "Read",
        &["read", "vread"],
        "R",
        &[client(DESTINATION_ROLE), server(SOURCE_ROLE), user(READER)],
    ),
    Pattern {
        data: Data::Query,
        ..rest(
            "Query",
            &["search", "search-type", "search-system"],
            "E",
            &[client(SOURCE_ROLE), server(DESTINATION_ROLE), user(READER)],
        )
    },
    rest("Create", &["create"], "C", WRITES),
    rest("Update", &["update", "patch"], "U", WRITES),
    rest(
        "Delete",
        &["delete"],
        "D",
        &[client(APPLICATION), server((PROVENANCE_ROLE, &["custodian"])), user(WRITER)],
    ),
    disclosure("PrivacyDisclosure.Source", "110106", "R", DISCLOSES),
    disclosure("PrivacyDisclosure.Recipient", "110107", "C", DISCLOSES),
    Pattern {
        id: "AuthZconsent",
        kind: Some((DCM, "110113")),
        subtypes: (AUTHZ_SUBTYPE, &["AuthZ-Consent", "AuthZ-Role"]),
        action: Some("E"),
        succeeds: false,
        roles: &[
            Role {
                bans: &["role", "altId", "name", "location", "media", "purposeOfUse"],
                ..client(APPLICATION)
            },
            Role {
                is_required: true,
                bans: &["altId", "location", "media", "network"],
                ..user(READER)
            },
            Role {
                name: "userorg",
                codes: ORGANISATION,
                is_required: true,
                bans: &["role", "altId", "name", "location", "policy", "media", "network"],
                requestor: Some(false),
                ..PERSON
            },
            Role {
                name: "authorizer",
                codes: (SECURITY_ROLE, &["authserver"]),
                is_required: true,
                bans: &[
                    "role",
                    "altId",
                    "name",
                    "location",
                    "policy",
                    "media",
                    "network",
                    "purposeOfUse",
                ],
                requestor: Some(false),
                ..PERSON
            },
        ],
        data: Data::Consent,
        patient: PatientRule::Always,
    },
    token("OAUTHaccessTokenUse.Opaque", &[Role { needs: &["policy"], bans: &[], ..OAUTH }]),
    token("OAUTHaccessTokenUse.Minimal", &[Role { needs: &["policy"], ..OAUTH }]),
    token(
        "OAUTHaccessTokenUse.Comprehensive",
        &[
            Role { needs: &["who.identifier.value"], ..client(APPLICATION) },
            Role { needs: &["who.identifier", "policy"], ..user(READER) },
        ],
    ),
    token("SAMLaccessTokenUse.Minimal", &[SAML]),
    token(
        "SAMLaccessTokenUse.Comprehensive",
        &[
            SAML,
            Role {
                name: "userorg",
                codes: ORGANISATION,
                needs: &["who.display", "who.identifier.value"],
                bans: &[],
                requestor: Some(false),
                ..PERSON
            },
        ],
    ),
];
