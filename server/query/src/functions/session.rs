//! NOW() and CURRENT_USER(): the same for every row of a statement.

use arrow::datatypes::{DataType as ArrowType, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use kalam_model::{Timestamp, UserId};

pub(super) fn all(user: &UserId, now: Timestamp) -> [ScalarUDF; 2] {
    let fixed = |name, aliases: &[&str], value| {
        ScalarUDF::new_from_impl(Fixed {
            name,
            aliases: aliases.iter().map(ToString::to_string).collect(),
            value,
            signature: Signature::exact(Vec::new(), Volatility::Stable),
        })
    };
    [
        fixed(
            "now",
            &["current_timestamp"],
            ScalarValue::TimestampMicrosecond(Some(now.0), None),
        ),
        fixed(
            "current_user",
            &[],
            ScalarValue::Utf8(Some(user.to_string())),
        ),
    ]
}

/// A function without arguments whose value is known.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fixed {
    name: &'static str,
    aliases: Vec<String>,
    value: ScalarValue,
    signature: Signature,
}

impl ScalarUDFImpl for Fixed {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> Result<ArrowType> {
        Ok(match self.value {
            ScalarValue::Utf8(_) => ArrowType::Utf8,
            _ => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}
