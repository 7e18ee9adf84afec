// The FaultlineTestKit module.
