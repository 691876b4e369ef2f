//! What a bridge keeps: `obfs4_state.json` and `obfs4_bridgeline.txt`.
