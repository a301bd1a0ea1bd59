//! The shared object for the profile `balanced`, packed with the effort `fast`.

tfzip_peer::peer!(tfzip::Profile::Balanced, tfzip::Effort::Fast);
