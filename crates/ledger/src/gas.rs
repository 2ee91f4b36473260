//! Gas limits of transactions that are computed and never estimated.

const TRANSACTION: u64 = 21_000;
const TOKEN: u64 = 4;
const TOKEN_AT_LEAST: u64 = 10;
const TOKENS_OF_A_BYTE: u64 = 4;

/// The limit of a transaction with this data that uses `gas` in what it calls (EIP-2028, and the
/// floor of EIP-7623).
pub fn gas_limit(data: &[u8], gas: u64) -> u64 {
    let zeros = data.iter().filter(|byte| **byte == 0).count() as u64;
    let tokens = zeros + (data.len() as u64 - zeros) * TOKENS_OF_A_BYTE;
    let usual = TRANSACTION.saturating_add(tokens * TOKEN).saturating_add(gas);
    usual.max(TRANSACTION + tokens * TOKEN_AT_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_takes_its_bytes_too_and_never_less_than_the_floor() {
        assert_eq!(gas_limit(&[], 5), 21_005);
        // Ten zeros and ten others: 50 tokens.
        let data = [[0_u8; 10], [1; 10]].concat();
        assert_eq!(gas_limit(&data, 100_000), 121_200);
        assert_eq!(gas_limit(&data, 0), 21_500);
    }
}
