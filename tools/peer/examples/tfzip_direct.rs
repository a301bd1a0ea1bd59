//! The shared object for the profile `direct`.

tfzip_peer::peer!(tfzip::Profile::Direct, tfzip::Effort::Thorough);
