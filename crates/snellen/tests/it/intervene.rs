//! Edits: what they say, where they are made, what they change.

mod cost;
mod edits;
mod groups;
mod planted;
mod rest;
mod screen;
mod similar;
mod tower;
mod trace;
