// What every place of the page knows about the person who is signed in.
class Mine {
  /** How many things ask something of them, once their trail was read. */
  waiting = $state(0);
  /** How many sales wait for their yes: that is asked of the service, since no line says it. */
  sales = $state(0);
}

export const mine = new Mine();
