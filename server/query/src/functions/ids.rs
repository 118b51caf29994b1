//! SNOWFLAKE_ID(), UUID_V7() and ULID(): another value for every row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType as ArrowType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use kalam_engine::Engine;
use kalam_link_core::DataType;
use kalam_link_core::cell::UuidText;
use kalam_model::Timestamp;
use kalam_sql::IdSource as _;
use kalam_store::arrow_types::{arrow_type, typed_field};

use crate::ids::Ids;

pub(super) fn all(engine: &Arc<Engine>, now: Timestamp) -> [ScalarUDF; 3] {
    let source = Arc::new(Ids::new(Arc::clone(engine)));
    [Kind::Snowflake, Kind::UuidV7, Kind::Ulid].map(|kind| {
        let signature = Signature::exact(Vec::new(), Volatility::Volatile);
        ScalarUDF::new_from_impl(NewId {
            kind,
            source: Arc::clone(&source),
            now,
            signature,
        })
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Snowflake,
    UuidV7,
    Ulid,
}

impl Kind {
    const fn data_type(self) -> DataType {
        match self {
            Self::Snowflake => DataType::BigInt,
            Self::UuidV7 => DataType::Uuid,
            Self::Ulid => DataType::Text,
        }
    }
}

struct NewId {
    kind: Kind,
    source: Arc<Ids>,
    now: Timestamp,
    signature: Signature,
}

impl std::fmt::Debug for NewId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewId")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl PartialEq for NewId {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.now == other.now
    }
}

impl Eq for NewId {}

impl Hash for NewId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind, self.now).hash(state);
    }
}

impl ScalarUDFImpl for NewId {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Snowflake => "snowflake_id",
            Kind::UuidV7 => "uuid_v7",
            Kind::Ulid => "ulid",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> Result<ArrowType> {
        Ok(arrow_type(self.kind.data_type()))
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(typed_field(self.name(), self.kind.data_type(), false).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = 0..args.number_rows;
        let ids: ArrayRef = match self.kind {
            Kind::Snowflake => Arc::new(
                rows.map(|_| Some(self.source.snowflake(self.now)))
                    .collect::<Int64Array>(),
            ),
            Kind::UuidV7 => Arc::new(
                rows.map(|_| Some(UuidText(&self.source.uuid_v7(self.now)).to_string()))
                    .collect::<StringArray>(),
            ),
            Kind::Ulid => Arc::new(
                rows.map(|_| Some(self.source.ulid(self.now)))
                    .collect::<StringArray>(),
            ),
        };
        Ok(ColumnarValue::Array(ids))
    }
}
