mod plan_limits;
mod plan_select;
mod plan_support;
mod plan_system;
mod plan_types;
