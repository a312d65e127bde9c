"""The local stack: PostgreSQL, Valkey and our own processes on one machine, started and stopped as one thing.

    home         where a stack keeps data, secrets, sockets and addresses; the environment that follows
    processes    start a child that dies with us, stop it within a deadline
    launch       what runs in such a child before the program does
    postgres     the embedded PostgreSQL server
    valkey       the embedded Valkey server
    programs     the command line of each of our processes, and how to tell that it answers
    servers      both servers, roles, schema; who may start and stop them
    supervisor   keep children running
    stack        everything together: `LocalStack`
    session      one management command with the servers it needs
    environment  `.venv`, before anything is installed

Used by `./florin` for the default without configuration; a deployment gives DATABASE_URL and REDIS_URL and
its own process manager, and never runs this. Nothing here may know what the processes do.
"""
