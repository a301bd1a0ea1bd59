//! The shared object for the profile `small`.

tfzip_peer::peer!(tfzip::Profile::Small, tfzip::Effort::Thorough);
