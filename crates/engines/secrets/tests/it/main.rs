//! Tests of the rules of secrets through their public face.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod house;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod model;
