// A host that keeps what it is told to do, a call a line.
export class KeepingHost {
  constructor() {
    this.calls = [];
    this.time = 1_000;
  }

  now() {
    return this.time;
  }

  dial(connection, url) {
    this.calls.push(`dial ${connection} ${url}`);
  }

  send(connection, text) {
    this.calls.push(`send ${connection} ${text}`);
  }

  close(connection, code, reason) {
    this.calls.push(`close ${connection} ${code} ${reason}`);
  }

  ask(reason) {
    this.calls.push(`ask ${reason}`);
  }

  event(json) {
    this.calls.push(`event ${json}`);
  }

  wait(at) {
    this.waiting = at;
  }

  take() {
    return this.calls.splice(0).join("\n");
  }

  advanceTo(time) {
    this.time = time;
  }

  deadline() {
    return this.waiting;
  }
}
