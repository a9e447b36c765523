//! Lines of the BCC tools to typed records.
