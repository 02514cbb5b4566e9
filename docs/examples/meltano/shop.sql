CREATE TABLE users (
  id bigint PRIMARY KEY,
  email text,
  name text,
  plan text,
  unsubscribed boolean NOT NULL DEFAULT false,
  password_hash text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE companies (
  id bigint PRIMARY KEY,
  name text,
  seats integer,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE memberships (
  user_id bigint REFERENCES users,
  company_id bigint REFERENCES companies,
  role text,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, company_id)
);
CREATE TABLE orders (
  id bigint PRIMARY KEY,
  user_id bigint REFERENCES users,
  status text,
  total numeric(12, 2),
  updated_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO users (id, email, name, plan, password_hash, updated_at) VALUES
  (1, 'ann@example.com', 'Ann', 'pro', 'not for Customer.io', '2026-11-01'),
  (2, 'bob@example.com', 'Bob', 'free', 'not for Customer.io', '2026-11-02');
INSERT INTO companies (id, name, seats, updated_at) VALUES
  (10, 'Acme', 5, '2026-11-01');
INSERT INTO memberships (user_id, company_id, role, updated_at) VALUES
  (1, 10, 'owner', '2026-11-01'),
  (2, 10, 'member', '2026-11-02');
INSERT INTO orders (id, user_id, status, total, updated_at) VALUES
  (100, NULL, 'placed', 5.00, '2026-11-01'),  -- a guest: rejected
  (101, 1, 'placed', 19.99, '2026-11-02');
