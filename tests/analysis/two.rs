//! What went wrong, image by image: ledger, per image, TIDE, confusion, boundary, suspects, difference.

mod boundary;
mod confusion;
mod difference;
mod ledger;
mod per_image;
mod scene;
mod suspects;
mod tide;
