//! The rule of validity, at its edges. Most of these signatures were made so that another rule would accept them.

use std::path::Path;

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as BASE, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha512};
use thrum_api::proof::Signature;

use super::batch::all_are_valid;
use super::public::may_be_valid_point;
use super::*;

fn bytes<const LENGTH: usize>(hex: &str) -> [u8; LENGTH] {
    HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn signed<'a>(key: &SecretKey, message: &'a [u8]) -> SignedMessage<'a> {
    SignedMessage { public: key.public(), message, signature: key.sign(message) }
}

/// What single verification says, after making sure that a batch says the same.
fn is_valid(message: SignedMessage<'_>) -> bool {
    let alone = verify(message.public, message.message, &message.signature).is_ok();
    let other = signed(&key(200), b"another one, which is valid");
    assert_eq!(all_are_valid(&[message, other]), alone, "a batch: {message:?}");
    assert_eq!(all_are_valid(&[message]), alone, "a batch of one: {message:?}");
    assert_eq!(bad_signatures(&[other, message]), if alone { vec![] } else { vec![1] });
    alone
}

#[test]
fn a_key_signs_as_rfc_8032_says() {
    // Its section 7.1, test 2.
    let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let key = SecretKey::from_seed(&seed);
    let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    let signature = Signature(bytes(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ));
    assert_eq!((key.public(), key.sign(&[0x72]), *key.seed()), (public, signature, seed));
    assert!(is_valid(signed(&key, &[0x72])));
    assert_eq!(PublicKey::from_bytes(public).unwrap().to_bytes(), public);
}

#[test]
fn a_generated_key_is_new_and_does_not_print() {
    let (one, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
    assert_ne!(*one.seed(), *other.seed());
    assert!(is_valid(signed(&one, b"")) && is_valid(signed(&other, b"")));
    assert_eq!(format!("{one:?}"), "SecretKey(hidden)");
}

#[test]
fn a_signature_counts_for_its_message_and_key_only() {
    let good = signed(&key(1), b"a message");
    assert!(is_valid(good));
    assert!(!is_valid(SignedMessage { message: b"a messagf", ..good }));
    assert!(!is_valid(SignedMessage { message: b"a messag", ..good }));
    assert!(!is_valid(SignedMessage { public: key(2).public(), ..good }));
    assert!(!is_valid(SignedMessage { signature: key(1).sign(b"another message"), ..good }));
    assert!(!is_valid(SignedMessage { signature: Signature([0; 64]), ..good }));
    for at in 0..64 {
        let mut signature = good.signature;
        signature.0[at] ^= 1 << (at % 8);
        assert!(!is_valid(SignedMessage { signature, ..good }), "byte {at}");
    }
}

#[test]
fn the_bad_signatures_of_a_list_are_found() {
    let messages: Vec<Vec<u8>> = (0..20_u8).map(|number| vec![number; number.into()]).collect();
    let list = || messages.iter().zip([1, 2, 3].into_iter().cycle());
    let mut list: Vec<_> = list().map(|(message, by)| signed(&key(by), message)).collect();
    assert!(bad_signatures(&[]).is_empty());
    assert!(bad_signatures(&list).is_empty() && all_are_valid(&list));
    list[19].public = [0xff; 32];
    assert_eq!(bad_signatures(&list), [19]);
    (list[3].signature, list[6].signature) = (list[6].signature, list[3].signature);
    list[0].signature.0[63] |= 0x80;
    assert_eq!(bad_signatures(&list), [0, 3, 6, 19]);
    assert_eq!(bad_signatures(&list[..1]), [0]);
    assert!(bad_signatures(&list[1..2]).is_empty());
}

/// With equal coefficients, what is wrong in one signature would make up for what is wrong in the other.
#[test]
fn bad_signatures_that_cancel_each_other_out_are_found() {
    let mut pair = [signed(&key(1), b"one"), signed(&key(2), b"two")];
    let [first, second] = &mut pair;
    for (message, difference) in [(first, Scalar::ONE), (second, -Scalar::ONE)] {
        let s = second_half(&message.signature);
        let s = Scalar::from_canonical_bytes(s).unwrap() + difference;
        message.signature.0[32..].copy_from_slice(&s.to_bytes());
    }
    assert!(!all_are_valid(&pair));
    assert_eq!(bad_signatures(&pair), [0, 1]);
}

#[test]
fn the_edge_cases_of_taming_the_many_eddsas() {
    const ANSWERS: [(bool, &str); 12] = [
        (false, "A and R of small order, S = 0"),
        (false, "A of small order"),
        (false, "R of small order"),
        (true, "A and R of mixed order"),
        (true, "A and R of mixed order, holds with the factor 8 only"),
        (true, "A of mixed order, holds only if 8k is not reduced first"),
        (false, "S above L"),
        (false, "S far above L"),
        (false, "R not canonical, reduced for the hash"),
        (false, "R not canonical"),
        (false, "A not canonical, reduced for the hash"),
        (false, "A not canonical"),
    ];
    let path = "../thrum-api/tests/golden/eddsa-edge-cases.json";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), ANSWERS.len());
    for (number, (case, (valid, why))) in cases.iter().zip(ANSWERS).enumerate() {
        let hex = |member| case[member].as_str().unwrap();
        let message: [u8; 32] = bytes(hex("message"));
        let message = SignedMessage {
            public: bytes(hex("pub_key")),
            message: &message,
            signature: Signature(bytes(hex("signature"))),
        };
        assert_eq!(is_valid(message), valid, "case {number}: {why}");
    }
}

fn second_half(signature: &Signature) -> [u8; 32] {
    signature.0[32..].try_into().unwrap()
}

/// All 14 encodings of the eight points of small order that decoders accept which don't ask for canonical ones.
fn small_orders() -> Vec<[u8; 32]> {
    let mut found: Vec<[u8; 32]> = EIGHT_TORSION.map(|point| point.compress().to_bytes()).into();
    for y in [0xec, 0xed, 0xee] {
        let mut encoded = [0xff; 32];
        encoded[0] = y;
        found.push(encoded);
        encoded[31] = 0x7f;
        found.push(encoded);
    }
    let mut one_with_sign = [0; 32];
    (one_with_sign[0], one_with_sign[31]) = (1, 0x80);
    found.push(one_with_sign);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 14);
    found
}

/// A point with its encoding and a number: apart from a part of small order, the point is that number times the base.
struct Point {
    encoded: [u8; 32],
    factor: Scalar,
}

fn points(factor: u64) -> Vec<Point> {
    let factor = Scalar::from(factor);
    let mixed = EIGHT_TORSION
        .map(|small| Point { encoded: (BASE * factor + small).compress().to_bytes(), factor });
    let small = small_orders().into_iter();
    mixed.into_iter().chain(small.map(|encoded| Point { encoded, factor: Scalar::ZERO })).collect()
}

fn add_group_order(s: [u8; 32]) -> [u8; 32] {
    let order_minus_one = (-Scalar::ONE).to_bytes();
    let mut carry = 1;
    std::array::from_fn(|at| {
        let sum = u16::from(s[at]) + u16::from(order_minus_one[at]) + carry;
        carry = sum >> 8;
        sum as u8
    })
}

/// The rule as `keys` words it, by arithmetic instead of tables.
fn holds(public: [u8; 32], message: &[u8], signature: &Signature) -> Option<bool> {
    let point = |encoded| -> Option<EdwardsPoint> {
        let point = CompressedEdwardsY(encoded).decompress()?;
        (point.compress().to_bytes() == encoded && !point.is_small_order()).then_some(point)
    };
    let r: [u8; 32] = signature.0[..32].try_into().unwrap();
    let s: Scalar = Option::from(Scalar::from_canonical_bytes(second_half(signature)))?;
    let k = challenge(&r, &public, message);
    Some((BASE * s - point(r)? - point(public)? * k).mul_by_cofactor().is_identity())
}

fn challenge(r: &[u8; 32], public: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(public).chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

#[test]
fn points_of_small_order_and_encodings_that_are_not_canonical_are_refused() {
    let message = b"a message";
    let (mut valid, mut refused_by_us_only) = (0, 0);
    for a in points(0x5eed) {
        for r in points(0xface) {
            let k = challenge(&r.encoded, &a.encoded, message);
            let s = (r.factor + k * a.factor).to_bytes();
            let with = |s: [u8; 32]| {
                let signature = Signature([r.encoded, s].concat().try_into().unwrap());
                SignedMessage { public: a.encoded, message, signature }
            };
            let right = with(s);
            // Each of these satisfies the equation, and the library accepts every encoding.
            let key = ed25519_zebra::VerificationKey::try_from(a.encoded).unwrap();
            key.verify(&right.signature.0.into(), message).unwrap();
            let strict = holds(a.encoded, message, &right.signature) == Some(true);
            assert_eq!(is_valid(right), strict, "{right:?}");
            assert_eq!(PublicKey::from_bytes(a.encoded).is_ok(), a.factor != Scalar::ZERO);
            *if strict { &mut valid } else { &mut refused_by_us_only } += 1;

            let above = with(add_group_order(s));
            assert!(!is_valid(above), "S + L: {above:?}");
        }
    }
    assert_eq!((valid, refused_by_us_only), (8 * 8, 22 * 22 - 8 * 8));
}

#[test]
fn no_encoding_from_p_on_is_canonical() {
    for low in 0xe0..=0xff_u8 {
        for high in [0x7f, 0xff] {
            let mut encoded = [0xff; 32];
            (encoded[0], encoded[31]) = (low, high);
            // p - 1 is below p, and of small order.
            assert_eq!(may_be_valid_point(&encoded), low < 0xec, "{low:x} {high:x}");
            let decoded = CompressedEdwardsY(encoded).decompress();
            let canonical = decoded.is_some_and(|point| point.compress().to_bytes() == encoded);
            let is_key = PublicKey::from_bytes(encoded).is_ok();
            assert_eq!(is_key, canonical && low != 0xec, "{low:x} {high:x}");
            for at in [1, 16, 30] {
                let mut smaller = encoded;
                smaller[at] = 0xfe;
                assert!(may_be_valid_point(&smaller), "{at}");
            }
        }
    }
}
