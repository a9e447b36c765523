//! Finds pods and deploys the agent beside them.
