//! What is signed in a sale (EIP-712, the market contract's domain): the seller's offer, the
//! buyer's order, the seller's approval of that order; and a buyer's call to many, with each
//! seller's acceptance ([`cohort`]). [`check`] says what makes one valid, [`words`] what the seller
//! reads.

pub mod check;
pub mod cohort;
mod english;
mod estonian;
pub mod words;

use alloy_primitives::{Address, B256};
use alloy_sol_types::{Eip712Domain, SolStruct, sol};
use medtrail_ledger::schema::{digest, domain};
use serde::{Deserialize, Serialize};

sol! {
    /// What is sold and what for. Contracts see its salted struct hash only.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Terms {
        string statement;
        string purpose;
        bytes32 dataset;
        bytes32 salt;
    }

    /// A seller's offer to everybody. A sale needs an approval besides.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Offer {
        address seller;
        bytes32 log;
        address token;
        #[serde(with = "decimal")]
        uint256 price;
        uint64 accessS;
        uint64 expiresAt;
        uint64 epoch;
        Terms terms;
    }

    /// One buyer's purchase.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        Offer offer;
        address buyer;
        bytes32 recipient;
        uint64 deliverBy;
        uint64 grace;
        bytes32 salt;
    }

    /// The seller's yes to one order, which whoever settles carries. Its terms are the offer's.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct SaleApproval {
        bytes32 order;
        address seller;
        address buyer;
        address token;
        #[serde(with = "decimal")]
        uint256 price;
        Terms terms;
        uint64 expiresAt;
    }

    /// One buyer's paid call to many sellers, each for the same price and on the same terms.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Cohort {
        address buyer;
        bytes32 log;
        address token;
        #[serde(with = "decimal")]
        uint256 price;
        uint32 places;
        bytes32 recipient;
        uint64 deliverBy;
        uint64 grace;
        Terms terms;
        bytes32 salt;
    }

    /// One seller's yes to a call, which whoever settles carries. Its id is the record and the
    /// permission of the delivery's entry.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct CohortAcceptance {
        bytes32 cohort;
        uint32 place;
        address seller;
        address token;
        #[serde(with = "decimal")]
        uint256 price;
        Terms terms;
        uint64 epoch;
        uint64 expiresAt;
    }
}

sol! {
    /// A buyer's word that what was delivered is gone, after its seller withdrew.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Deletion {
        string statement;
        bytes32 order;
        address buyer;
        uint64 deletedAt;
    }
}

/// The contract whose sales they are: the same document for another has another id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Market {
    /// The chain.
    pub chain_id: u64,
    /// The market contract.
    pub data_market: Address,
}

impl Market {
    /// Under which documents of its sales are signed.
    pub fn domain(&self) -> Eip712Domain {
        domain(self.chain_id, self.data_market)
    }

    fn id<T: SolStruct>(&self, document: &T) -> B256 {
        digest(document, &self.domain())
    }
}

impl Terms {
    /// Its struct hash (EIP-712): all that a contract sees of it.
    pub fn hash(&self) -> B256 {
        self.eip712_hash_struct()
    }
}

impl Offer {
    /// Its id: what the seller signs.
    pub fn id(&self, market: &Market) -> B256 {
        market.id(self)
    }
}

impl Order {
    /// Its id: what the contract keeps the state of, and the delivery's entry names.
    pub fn id(&self, market: &Market) -> B256 {
        market.id(self)
    }

    /// The last second at which the contract pays for it; none where no clock reaches.
    pub fn settled_by(&self) -> Option<u64> {
        self.deliverBy.checked_add(self.grace)
    }

    /// The approval that its seller is asked for.
    pub fn approval(&self, market: &Market, expires_at: u64) -> SaleApproval {
        let Offer { seller, token, price, ref terms, .. } = self.offer;
        SaleApproval {
            order: self.id(market),
            seller,
            buyer: self.buyer,
            token,
            price,
            terms: terms.clone(),
            expiresAt: expires_at,
        }
    }
}

impl Deletion {
    /// What a buyer signs: in the words of the law's language of contracts, and with its version.
    pub const STATEMENT: &'static str = "I have deleted what was delivered to me for this order, \
and every copy and part of it that I had. I have told everybody to whom I passed any of it on that \
its seller has withdrawn. (Medtrail deletion 1)";

    /// The statement of this order.
    pub fn of(order: &Order, market: &Market, deleted_at: u64) -> Self {
        Self::of_part(order.id(market), order.buyer, deleted_at)
    }

    /// The statement of one person's part of the file of a call to many: by the acceptance's id, or by
    /// the hash that stands for it in the manifest.
    pub fn of_part(part: B256, buyer: Address, deleted_at: u64) -> Self {
        let statement = Self::STATEMENT.to_owned();
        Self { statement, order: part, buyer, deletedAt: deleted_at }
    }

    /// Its id: what the buyer signs.
    pub fn id(&self, market: &Market) -> B256 {
        market.id(self)
    }

    /// Its id under the market of calls to many.
    pub fn id_in_calls(&self, market: &cohort::CohortMarket) -> B256 {
        digest(self, &market.domain())
    }
}

impl SaleApproval {
    /// Its id: what the seller signs.
    pub fn id(&self, market: &Market) -> B256 {
        market.id(self)
    }
}

/// A price in JSON: its decimal digits as text. Beyond 2^53 a JSON number means several things, and
/// hexadecimal is a second spelling.
mod decimal {
    use alloy_primitives::U256;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &U256, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<U256, D::Error> {
        let text = String::deserialize(from)?;
        let number = U256::from_str_radix(&text, 10).map_err(D::Error::custom)?;
        if number.to_string() == text { Ok(number) } else { Err(D::Error::custom("not decimal")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    #[test]
    fn types_are_those_of_the_contract() {
        let terms = "Terms(string statement,string purpose,bytes32 dataset,bytes32 salt)";
        let offer = "Offer(address seller,bytes32 log,address token,uint256 price,uint64 accessS,uint64 expiresAt,uint64 epoch,Terms terms)";
        assert_eq!(Terms::eip712_encode_type(), terms);
        assert_eq!(Offer::eip712_encode_type(), format!("{offer}{terms}"));
        let order = "Order(Offer offer,address buyer,bytes32 recipient,uint64 deliverBy,uint64 grace,bytes32 salt)";
        assert_eq!(Order::eip712_encode_type(), format!("{order}{offer}{terms}"));
        let approval = "SaleApproval(bytes32 order,address seller,address buyer,address token,uint256 price,Terms terms,uint64 expiresAt)";
        assert_eq!(SaleApproval::eip712_encode_type(), format!("{approval}{terms}"));
        let cohort = "Cohort(address buyer,bytes32 log,address token,uint256 price,uint32 places,bytes32 recipient,uint64 deliverBy,uint64 grace,Terms terms,bytes32 salt)";
        assert_eq!(Cohort::eip712_encode_type(), format!("{cohort}{terms}"));
        let acceptance = "CohortAcceptance(bytes32 cohort,uint32 place,address seller,address token,uint256 price,Terms terms,uint64 epoch,uint64 expiresAt)";
        assert_eq!(CohortAcceptance::eip712_encode_type(), format!("{acceptance}{terms}"));
        let deletion = "Deletion(string statement,bytes32 order,address buyer,uint64 deletedAt)";
        assert_eq!(Deletion::eip712_encode_type(), deletion);
        // One paragraph, as a wallet shows it.
        assert!(!Deletion::STATEMENT.contains("  ") && !Deletion::STATEMENT.contains('\n'));
    }

    #[test]
    fn a_price_is_written_in_decimal_and_read_in_nothing_else() {
        let offer = Offer { price: U256::from(50_000_000_000_000_000_u64), ..Offer::default() };
        let text = serde_json::to_string(&offer).unwrap();
        assert!(text.contains(r#""price":"50000000000000000""#), "{text}");
        assert_eq!(serde_json::from_str::<Offer>(&text).unwrap(), offer);
        let old = r#""50000000000000000""#;
        let beyond = format!("\"1{}\"", "0".repeat(78));
        for price in
            ["50", r#""0x50""#, r#""050""#, r#""+5""#, r#""5_0""#, r#""-5""#, r#""""#, &beyond]
        {
            let other = text.replacen(old, price, 1);
            assert!(serde_json::from_str::<Offer>(&other).is_err(), "{price}");
        }
        let more = text.replacen("\"seller\"", "\"mood\":1,\"seller\"", 1);
        assert!(serde_json::from_str::<Offer>(&more).is_err());
    }

    #[test]
    fn an_order_of_another_chain_market_or_salt_is_another_order() {
        let here = Market { chain_id: 31338, data_market: Address::repeat_byte(1) };
        let order = Order::default();
        let salted = Order { salt: B256::repeat_byte(1), ..Order::default() };
        let ids = [
            order.id(&here),
            order.id(&Market { chain_id: 1, ..here }),
            order.id(&Market { data_market: Address::repeat_byte(2), ..here }),
            salted.id(&here),
        ];
        for (place, id) in ids.iter().enumerate() {
            assert!(!ids[..place].contains(id));
        }
    }
}
