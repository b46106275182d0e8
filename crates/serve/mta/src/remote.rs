//! Other people's hosts: finding them, reaching them, and handing messages over.
