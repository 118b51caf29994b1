use proptest::prelude::*;

use super::*;

/// What the next call would send.
fn next(outbox: &Outbox) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let count = outbox.slices(&mut slices);
    assert!(slices[..count].iter().all(|slice| !slice.is_empty()));
    slices[..count]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect()
}

proptest! {
    #[test]
    fn bytes_leave_in_order_whatever_leaves_at_a_time(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..100),
        taken in prop::collection::vec(1_usize..3_000, 1..20),
    ) {
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for payload in payloads {
            let (header, length) = header(Kind::Binary, payload.len());
            expected.extend_from_slice(&header[..length]);
            expected.extend_from_slice(&payload);
            outbox.push(Kind::Binary, payload);
        }
        let mut sent = Vec::new();
        let mut taken = taken.into_iter().cycle();
        while !outbox.is_empty() {
            prop_assert_eq!(outbox.bytes(), expected.len() - sent.len());
            let offered = next(&outbox);
            prop_assert!(!offered.is_empty());
            let count = taken.next().unwrap().min(offered.len());
            sent.extend_from_slice(&offered[..count]);
            outbox.advance(count);
        }
        prop_assert_eq!(sent, expected);
        prop_assert_eq!((outbox.bytes(), outbox.frames.capacity()), (0, 0));
    }
}
