//! Certificates as values: what a renewal keeps of the old one.

mod certificates;
mod leaves;
mod renewal;
