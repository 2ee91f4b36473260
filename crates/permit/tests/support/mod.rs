//! Mari, who is asked, and the others: fixtures that the tests of `permits` share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use alloy_primitives::{Address, B256, Bytes, keccak256};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use medtrail_ledger::signature;
use medtrail_permit::documents::{
    ChangeApproval, Delegation, Document, Grant, Guardianship, Registries, Revoke, RevokeAll,
};
use medtrail_permit::permits::{
    Act, Bound, ChainState, Data, End, Granted, Held, Need, Pseudonym, Standing, World,
};
use medtrail_permit::signed::Signed;
use medtrail_permit::statements::{Language, worded};
use secp256k1::{Message, SecretKey};

/// Whose key a seed makes.
pub(crate) const MARI: u8 = 1;
pub(crate) const KADRI: u8 = 2;
pub(crate) const STRANGER: u8 = 3;
pub(crate) const HOSPITAL: u8 = 4;
pub(crate) const LAB: u8 = 5;
pub(crate) const NEW_KEY: u8 = 6;
pub(crate) const MOTHER: u8 = 7;
pub(crate) const FATHER: u8 = 8;

/// The hour at which things happen, and what lies around it.
pub(crate) const NOON_MS: u64 = 1_767_614_400_000;
pub(crate) const NOON_S: u64 = NOON_MS / 1000;
pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

/// Jaan, who is nine and has no key.
pub(crate) const JAAN: B256 = B256::repeat_byte(0x9a);

pub(crate) const REGISTRIES: Registries = Registries {
    chain_id: 31338,
    consent_registry: Address::repeat_byte(0xc1),
    anchor_registry: Address::repeat_byte(0xa1),
};

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_secret_bytes([seed; 32]).unwrap()
}

pub(crate) fn address(seed: u8) -> Address {
    signature::address_of(&secp256k1::PublicKey::from_secret_key(&secret(seed)))
}

pub(crate) fn sign(seed: u8, digest: B256) -> Bytes {
    let message = Message::from_digest(digest.0);
    let signed =
        secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(message, &secret(seed));
    let (recovery, compact) = signed.serialize_compact();
    [compact.as_slice(), &[27 + recovery.to_u8()]].concat().into()
}

pub(crate) fn signed_for(registries: &Registries, seed: u8, document: impl Into<Given>) -> Signed {
    let Given(document) = document.into();
    let signature = Some(sign(seed, document.id(registries)));
    Signed { document, signature, countersignature: None }
}

pub(crate) fn signed(seed: u8, document: impl Into<Given>) -> Signed {
    signed_for(&REGISTRIES, seed, document)
}

/// A document in English, or as it is where its fields cannot be told.
pub(crate) struct Given(pub(crate) Document);

impl From<Document> for Given {
    fn from(document: Document) -> Self {
        Self(document)
    }
}

macro_rules! given {
    ($($name:ident),*) => {$(
        impl From<$name> for Given {
            fn from(document: $name) -> Self {
                let document = Document::$name(document);
                Self(worded(document.clone(), Language::En).unwrap_or(document))
            }
        }
    )*};
}
given!(Grant, ChangeApproval, Revoke, RevokeAll, Delegation, Guardianship);

/// Mari allows the hospital everything that treatment takes, for a month.
pub(crate) fn grant() -> Grant {
    Grant {
        statement: String::new(),
        subject: address(MARI),
        grantee: address(HOSPITAL),
        scopes: "patient/*.cruds".into(),
        purposes: "TREAT".into(),
        epoch: 0,
        expiresAt: NOON_S + 30 * 86_400,
        salt: B256::repeat_byte(0x51),
    }
}

pub(crate) fn record() -> B256 {
    keccak256("Mari's allergy to penicillin")
}

pub(crate) fn version(letter: char) -> B256 {
    keccak256(letter.to_string())
}

/// Mari approves that the hospital changes one record from version A to version B.
pub(crate) fn approval() -> ChangeApproval {
    ChangeApproval {
        statement: String::new(),
        subject: address(MARI),
        custodian: address(HOSPITAL),
        record: record(),
        fromVersion: version('A'),
        toVersion: version('B'),
        epoch: 0,
        expiresAt: NOON_S + 7 * 86_400,
        salt: B256::repeat_byte(0x52),
    }
}

/// Kadri may see and permit for Mari.
pub(crate) fn delegation() -> Delegation {
    Delegation {
        statement: String::new(),
        subject: address(MARI),
        delegate: address(KADRI),
        rights: "SEE PERMIT".into(),
        epoch: 0,
        expiresAt: NOON_S + 30 * 86_400,
        salt: B256::repeat_byte(0x53),
    }
}

pub(crate) fn id(document: impl Into<Given>) -> B256 {
    document.into().0.id(&REGISTRIES)
}

pub(crate) fn revoke(subject: Address, permission: B256) -> Revoke {
    Revoke { subject, permission }
}

/// Mari ends the epoch of this number.
pub(crate) fn revoke_all(epoch: u64) -> RevokeAll {
    RevokeAll { subject: address(MARI), epoch }
}

/// A guardianship over Jaan, signed by both.
pub(crate) fn guardianship(guardian: u8, rights: &str) -> Signed {
    let document = Guardianship {
        statement: String::new(),
        subject: JAAN,
        guardian: address(guardian),
        custodian: address(HOSPITAL),
        rights: rights.into(),
        ground: "parent, population register".into(),
        expiresAt: NOON_S + 365 * 86_400,
    };
    let signed = signed(guardian, document);
    let countersignature = Some(sign(HOSPITAL, signed.document.id(&REGISTRIES)));
    Signed { countersignature, ..signed }
}

pub(crate) fn jaan() -> Address {
    medtrail_permit::documents::named(JAAN)
}

/// The organisation of a key ended somebody's guardianship of Jaan.
pub(crate) fn order(guardian: u8, by: u8, received_ms: u64) -> End {
    let guardianship = guardianship(guardian, "SEE PERMIT").document.id(&REGISTRIES);
    End { guardianship, by: address(by), received_ms }
}

/// An act and all that is known.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) act: Act,
    pub(crate) world: World,
}

/// Measurements that nobody marked.
pub(crate) fn measurements() -> Data {
    Data { resource: Some("Observation".into()), ..Data::default() }
}

/// The hospital reads Mari's measurements at noon, for treatment, and reports it a second later.
pub(crate) fn look() -> Scene {
    let report = Report {
        log: keccak256("log"),
        eventId: keccak256("event"),
        kind: Kind::Access.number(),
        action: b'R',
        timeMs: NOON_MS,
        subject: address(MARI).into_word(),
        actor: address(HOSPITAL),
        ..Report::default()
    };
    let act = Act {
        report,
        commitment: keccak256("commitment"),
        index: 100,
        received_ms: NOON_MS + 1000,
        in_vault: false,
        signer: Some(address(HOSPITAL)),
        party: vec![address(HOSPITAL)],
        need: Need { data: vec![measurements()], purposes: vec!["TREAT".into()], is_search: false },
    };
    let world = World {
        registries: REGISTRIES,
        documents: Vec::new(),
        chain: ChainState::default(),
        pseudonyms: Vec::new(),
        uses: Vec::new(),
        ends: Vec::new(),
        market: None,
        sales: Vec::new(),
    };
    Scene { act, world }
}

/// The hospital changes Mari's allergy from version A to version B.
pub(crate) fn change() -> Scene {
    let allergies = Data { resource: Some("AllergyIntolerance".into()), ..Data::default() };
    look().with(|scene| {
        let report = &mut scene.act.report;
        (report.kind, report.action) = (Kind::Change.number(), b'U');
        report.record = record();
        (report.fromVersion, report.toVersion) = (version('A'), version('B'));
        scene.act.need.data = vec![allergies];
    })
}

/// The same about Jaan, whose pseudonym the hospital keeps.
pub(crate) fn about_jaan(scene: Scene) -> Scene {
    scene.with(|scene| {
        scene.act.report.subject = JAAN;
        scene.world.pseudonyms.push(Pseudonym {
            pseudonym: JAAN,
            keepers: vec![address(HOSPITAL)],
            bound: None,
        });
    })
}

/// A grant about Jaan.
pub(crate) fn grant_for_jaan() -> Grant {
    Grant { subject: jaan(), ..grant() }
}

impl Scene {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The log recorded a document so long before noon.
    pub(crate) fn before(self, earlier_ms: u64, signed: Signed) -> Self {
        self.at(NOON_MS - earlier_ms, signed)
    }

    /// The log recorded a document so long after noon.
    pub(crate) fn after(self, later_ms: u64, signed: Signed) -> Self {
        self.at(NOON_MS + later_ms, signed)
    }

    pub(crate) fn at(self, received_ms: u64, signed: Signed) -> Self {
        let held = Held { signed, received_ms: Some(received_ms) };
        self.with(|scene| scene.world.documents.push(held))
    }

    /// A document that no entry records.
    pub(crate) fn unrecorded(self, signed: Signed) -> Self {
        let held = Held { signed, received_ms: None };
        self.with(|scene| scene.world.documents.push(held))
    }

    /// The report names a permission.
    pub(crate) fn naming(self, document: impl Into<Given>) -> Self {
        let id = id(document);
        self.with(|scene| scene.act.report.permission = id)
    }

    /// It happened so long before it was received, that being at noon.
    pub(crate) fn late(self, delay_ms: u64) -> Self {
        self.with(|scene| {
            scene.act.report.timeMs = NOON_MS - delay_ms;
            scene.act.received_ms = NOON_MS;
        })
    }

    pub(crate) fn standing(
        self,
        subject: Address,
        id: B256,
        granted: Option<(u64, bool)>,
        revoked_s: Option<u64>,
    ) -> Self {
        let granted = granted.map(|(at_s, is_final)| Granted { at_s, is_final });
        let standing = Standing { subject, id, granted, revoked_s };
        self.with(|scene| scene.world.chain.standings.push(standing))
    }

    /// An order about a guardian came so long before noon.
    pub(crate) fn ordered(self, guardian: u8, by: u8, earlier_ms: u64) -> Self {
        self.with(|scene| scene.world.ends.push(order(guardian, by, NOON_MS - earlier_ms)))
    }

    /// Jaan's pseudonym became an address's.
    pub(crate) fn bound(self, subject: Address, received_ms: u64) -> Self {
        self.with(|scene| {
            scene.world.pseudonyms[0].bound = Some(Bound { subject, received_ms });
        })
    }

    pub(crate) fn purpose(self, code: &str) -> Self {
        self.with(|scene| scene.act.need.purposes = vec![code.into()])
    }
}
