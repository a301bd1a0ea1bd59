//! The shared object for the profile `balanced`.

tfzip_peer::peer!(tfzip::Profile::Balanced, tfzip::Effort::Thorough);
