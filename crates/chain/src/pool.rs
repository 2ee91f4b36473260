//! What nodes say to a transaction, and what it means.

use crate::rpc::RpcError;
use medtrail_ledger::ports::SendError;

/// The pool's refusals in the words of geth, reth, erigon, Nethermind, Besu and anvil.
pub(crate) fn send_error(error: &RpcError) -> SendError {
    const KNOWN: &[&str] =
        &["already known", "already imported", "alreadyknown", "known transaction", "same hash"];
    const LOW: &[&str] = &["nonce too low", "oldnonce", "nonce_too_low"];
    const PRICE: &[&str] =
        &["underpriced", "less than block base fee", "feetoolow", "gas price below", "fee too low"];
    const FUNDS: &[&str] = &["insufficient funds", "insufficientfunds", "upfront cost"];
    let RpcError::Node { message, .. } = error else {
        return SendError::Unknown(error.to_string());
    };
    let lower = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(LOW) {
        SendError::NonceTooLow
    } else if says(PRICE) {
        SendError::Underpriced(message.clone())
    } else if says(KNOWN) {
        SendError::AlreadyKnown
    } else if says(FUNDS) {
        SendError::InsufficientFunds(message.clone())
    } else {
        SendError::Unknown(error.to_string())
    }
}

/// The kindest answer of several nodes has the lowest number.
pub(crate) fn severity(error: &SendError) -> u8 {
    match error {
        SendError::AlreadyKnown => 0,
        SendError::NonceTooLow => 1,
        SendError::Underpriced(_) => 2,
        SendError::InsufficientFunds(_) => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::Bytes;

    fn node(code: i64, message: &str) -> RpcError {
        RpcError::Node { code, message: message.to_owned(), data: Bytes::new() }
    }

    #[test]
    fn the_pools_words_are_understood() {
        let fine = [
            "already known",
            "transaction already imported",
            "nonce too low",
            "AlreadyKnown",
            "OldNonce",
        ];
        for message in fine {
            assert!(send_error(&node(-32003, message)).is_fine(), "{message}");
        }
        let dear = [
            "replacement transaction underpriced",
            "max fee per gas less than block base fee",
            "FeeTooLow",
        ];
        for message in dear {
            let error = send_error(&node(-32000, message));
            assert!(matches!(error, SendError::Underpriced(_)), "{message}");
        }
        let poor = send_error(&node(-32003, "Insufficient funds for gas * price + value"));
        assert!(matches!(poor, SendError::InsufficientFunds(_)));
        let unknown = send_error(&node(-32000, "exceeds block gas limit"));
        assert!(matches!(unknown, SendError::Unknown(_)));
        let lost = send_error(&RpcError::Transport("operation timed out".to_owned()));
        assert!(matches!(lost, SendError::Unknown(_)) && !lost.is_fine());
    }
}
