"""What tests and measurements share.

The vendors, besides the sandbox, and what each is for:

- `played_vendor`: one call request, a reply for each request, at the transport; for cancels on virtual time;
- `virtual_vendor`: many call requests, by a rule, at the transport; for reads on virtual time;
- `scripted_vendor`: a real socket, byte for byte as a test says; for a whole gateway;
- `stateful_vendor`: the same with call requests, and rules that may change while it runs; for processes under fault;
- `quick_vendor`: a process that costs little CPU; for measuring load.
"""
