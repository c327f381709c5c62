//! The modules that the targets share with the tests name the program by this variable, which only tests are given.
fn main() {
    println!("cargo:rustc-env=CARGO_BIN_EXE_vhdkit=vhdkit");
}
