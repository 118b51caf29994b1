use super::*;
use crate::testing::TYPES;

#[test]
fn every_type_survives_in_a_field() {
    for data_type in TYPES {
        let field = typed_field("c", data_type, true);
        assert_eq!(data_type_of(&field), Some(data_type));
        assert_eq!(*field.data_type(), arrow_type(data_type));
    }
}

#[test]
fn a_field_without_or_with_wrong_metadata_gets_the_nearest_type() {
    let plain = |arrow| data_type_of(&Field::new("c", arrow, true));
    assert_eq!(plain(ArrowType::Utf8), Some(DataType::Text));
    assert_eq!(plain(ArrowType::UInt64), Some(DataType::BigInt));
    assert_eq!(plain(ArrowType::Struct(Vec::<Field>::new().into())), None);
    let wrong = typed_field("c", DataType::Uuid, true).with_data_type(ArrowType::Int64);
    assert_eq!(data_type_of(&wrong), Some(DataType::BigInt));
}
